import type { SymbolIndex } from '../../elf';
import type { Side } from '../side/side';
import { entryReferences, usersOf } from '../assess/references';
import { Trait } from '../scan';
import { forEachEntry, specialTables } from '../scan/entries';
import type { Pairing, UseIndex } from '../correlate';
import { SourceIndex, sameSource, sourceName } from './source';

/** How many callers up a function is looked for that was inlined, or no longer is. */
const FURTHEST = 4;

/** Who uses the open symbols of one side, and who stands for users that the other build does not have. */
export class Users {
  private readonly direct = new Map<number, number[]>();
  /** Who is used by data without a symbol, too. */
  private readonly beyond = new Set<number>();
  /** What passes over all relas were made for: one without users is not looked for again. */
  private readonly asked = new Set<number>();

  /** Scan has noted the uses of names that prove nothing, those by special sections included. Of others it takes a pass over all relas. */
  constructor(
    readonly side: Side,
    targets: Iterable<number>,
    noted?: UseIndex,
  ) {
    const others = new Set<number>();
    for (const target of targets) {
      if (noted !== undefined && side.table.has(target, Trait.AMBIGUOUS))
        this.direct.set(
          target,
          [...noted.usersOf(target)].filter((user) => user !== target),
        );
      else others.add(target);
    }
    if (others.size > 0) this.add(others);
  }

  of(target: number): readonly number[] {
    return this.direct.get(target) ?? [];
  }

  /** Whether something uses it that no symbol stands for. */
  hasOthers(target: number): boolean {
    return this.beyond.has(target);
  }

  /** Asks for the users of those that none is known of yet: a pass over all relas. */
  ask(symbols: readonly number[]): void {
    const unknown = symbols.filter((symbol) => this.of(symbol).length === 0 && !this.asked.has(symbol));
    if (unknown.length > 0) this.add(new Set(unknown));
  }

  private add(targets: ReadonlySet<number>): void {
    const { side } = this;
    for (const target of targets) this.asked.add(target);
    const found = usersOf(side, targets);
    // A static key's user is the function whose jump depends on it.
    for (const special of specialTables(side.identity, side.structSizes, [])) {
      const owners: Array<[number, number]> = [];
      forEachEntry(side.identity, special, (entry) => {
        for (const { symbol } of entryReferences(side, special, entry))
          if (targets.has(symbol)) owners.push([symbol, entry.owner]);
      });
      for (const [symbol, owner] of owners)
        found.set(symbol, [...(found.get(symbol) ?? []), { symbol: owner, section: 0, branch: true, inside: 0 }]);
    }
    for (const target of targets) {
      const symbols = new Set((found.get(target) ?? []).map(({ symbol }) => symbol));
      if (symbols.delete(0)) this.beyond.add(target);
      symbols.delete(target);
      this.direct.set(
        target,
        [...symbols].sort((a, b) => a - b),
      );
    }
  }
}

/** A user of a symbol, and the function that stands for it: itself, or a caller where the other build has it inlined. */
export interface Standing {
  user: number;
  root: number;
}

/** Users of both sides' open symbols, with who stands for those that only one build has. */
export class BothUsers {
  private readonly sources: { orig?: SourceIndex; patched?: SourceIndex } = {};
  private readonly standing = new Map<string, { list: Standing[]; lost: boolean }>();

  constructor(
    private readonly pairing: Pairing,
    readonly orig: Users,
    readonly patched: Users,
  ) {}

  /** Asks for the callers of all users of some symbols that have no counterpart, level by level: asked one by one, two kernels that are not one took a pass over all relas for each. */
  askAhead(side: 'orig' | 'patched', targets: readonly number[]): void {
    const users = this[side];
    const seen = new Set<number>();
    let open: readonly number[] = targets;
    for (let i = 0; i < FURTHEST; i++) {
      const lost = new Set(open.flatMap((symbol) => users.of(symbol).filter((user) => !seen.has(user))));
      for (const user of lost) {
        seen.add(user);
        if (this.hasCounterpart(side, user)) lost.delete(user);
      }
      if (lost.size === 0) return;
      open = [...lost];
      users.ask(open);
    }
  }

  /** Who uses a symbol; `lost`: some user has no counterpart in the other build that anything tells of. */
  of(side: 'orig' | 'patched', target: number): { list: readonly Standing[]; lost: boolean } {
    const key = `${side}:${target}`;
    let known = this.standing.get(key);
    if (known === undefined) this.standing.set(key, (known = this.find(side, target)));
    return known;
  }

  private find(side: 'orig' | 'patched', target: number): { list: Standing[]; lost: boolean } {
    const users = this[side];
    const list: Standing[] = [];
    let lost = users.hasOthers(target);
    for (const user of users.of(target)) {
      if (this.hasCounterpart(side, user)) {
        list.push({ user, root: user });
        continue;
      }
      const roots = this.callersOf(side, user);
      for (const root of roots) list.push({ user, root });
      if (roots.length === 0) lost = true;
    }
    return { list, lost };
  }

  /** The callers, or theirs, that both builds have. */
  private callersOf(side: 'orig' | 'patched', function_: number): number[] {
    const users = this[side];
    const seen = new Set([function_]);
    const roots = new Set<number>();
    let open = [function_];
    for (let i = 0; i < FURTHEST && open.length > 0; i++) {
      users.ask(open);
      const next: number[] = [];
      for (const caller of open.flatMap((symbol) => [...users.of(symbol)])) {
        if (seen.has(caller)) continue;
        seen.add(caller);
        if (this.hasCounterpart(side, caller)) roots.add(caller);
        else next.push(caller);
      }
      open = next;
    }
    return [...roots];
  }

  private hasCounterpart(side: 'orig' | 'patched', symbol: SymbolIndex): boolean {
    const { pairing, orig, patched } = this;
    const own = side === 'orig' ? orig.side : patched.side;
    const paired = side === 'orig' ? pairing.twin : pairing.origin;
    if (paired[symbol] !== 0) return true;
    if (own.table.has(symbol, Trait.OBJECT)) return false;
    const name = sourceName(own.name(symbol));
    if (side === 'orig')
      return (this.sources.patched ??= new SourceIndex(patched.side))
        .of(name)
        .some((other) => sameSource(pairing, own, patched.side, symbol, other));
    return (this.sources.orig ??= new SourceIndex(orig.side))
      .of(name)
      .some((other) => sameSource(pairing, orig.side, own, other, symbol));
  }

  /** Pairs of users, one of each, that come from one function, or whose places in both builds do. */
  linksOf(a: number, b: number): Array<[user: number, other: number]> {
    const links: Array<[number, number]> = [];
    const theirs = this.of('patched', b).list;
    for (const x of this.of('orig', a).list) {
      for (const y of theirs)
        if (sameSource(this.pairing, this.orig.side, this.patched.side, x.root, y.root)) links.push([x.user, y.user]);
    }
    return links;
  }
}
