import type { SymbolIndex } from '../../elf';
import { DOUBTFUL_USE, USE_WORDS } from '../scan';

const NOBODY: ReadonlySet<number> = new Set();

/** Where the two symbols stand in the words of a use, and the slot between them. */
const USER = 0;
const SLOT = 1;
const TARGET = 2;

/**
 * Uses of one object, found by user and by target. A kernel has 40,000 by 20,000 users: they stay words of one column, and a
 * list is made only for whom somebody asks. They are numbered from 1 on, in scan order.
 */
export class UseIndex {
  private readonly byUser: Chains;
  private byTarget: Chains | undefined;
  private readonly users = new Map<number, ReadonlySet<number>>();
  private doubts: Doubts | undefined;

  /** @param symbols how many the object has; what a damaged record says of others, or to them, is passed over */
  constructor(
    readonly words: Uint32Array,
    private readonly symbols: number,
  ) {
    this.byUser = new Chains(words, USER, symbols);
  }

  /** The distinct users of a target. */
  usersOf(target: number): ReadonlySet<number> {
    const known = this.users.get(target);
    if (known !== undefined) return known;
    if (this.targets.first(target) === 0) return NOBODY;
    const users = new Set<number>();
    for (let use = this.targets.first(target); use !== 0; use = this.targets.after(use))
      users.add(wordOf(this.words, use, USER));
    this.users.set(target, users);
    return users;
  }

  isUsed(target: number): boolean {
    return this.isSurelyUsed(target) || this.doubtful.byTarget.has(target);
  }

  /** Whether a use is known that can be no other symbol's. */
  isSurelyUsed(target: number): boolean {
    return this.targets.first(target) !== 0;
  }

  /** Uses that may be another's. No chain has them, for they are nobody's evidence; but nobody may count as unused for that. */
  get doubtful(): Doubts {
    return (this.doubts ??= doubtsIn(this.words));
  }

  /** Number of the first use that a user makes; 0 for none. */
  firstOf(user: number): number {
    return this.byUser.first(user);
  }

  /** Number of the same user's next use; 0 behind the last. */
  after(use: number): number {
    return this.byUser.after(use);
  }

  slot(use: number): number {
    return wordOf(this.words, use, SLOT);
  }

  target(use: number): number {
    return wordOf(this.words, use, TARGET);
  }

  /** [slot, target] of every use a user makes, by slot; several of one slot keep scan order. */
  of(user: number): Array<[slot: number, target: number]> {
    const uses: Array<[number, number]> = [];
    for (let use = this.firstOf(user); use !== 0; use = this.after(use)) uses.push([this.slot(use), this.target(use)]);
    return uses.sort((a, b) => a[0] - b[0]);
  }

  private get targets(): Chains {
    return (this.byTarget ??= new Chains(this.words, TARGET, this.symbols));
  }
}

/** Uses of which nothing tells whether they are of the one object or of that before it, in scan order. */
export interface Doubts {
  /** [slot, target] of each, by user. */
  byUser: ReadonlyMap<number, ReadonlyArray<readonly [slot: number, target: number]>>;
  /** Users, by target. */
  byTarget: ReadonlyMap<number, ReadonlySet<number>>;
}

const NO_DOUBTS: readonly never[] = [];

function doubtsIn(words: Uint32Array): Doubts {
  const byUser = new Map<number, Array<readonly [number, number]>>();
  const byTarget = new Map<number, Set<number>>();
  for (let at = 0; at + TARGET < words.length; at += USE_WORDS) {
    if (words[at + TARGET]! < DOUBTFUL_USE) continue;
    const user = words[at + USER]!;
    const target = words[at + TARGET]! - DOUBTFUL_USE;
    const own = byUser.get(user);
    if (own === undefined) byUser.set(user, [[words[at + SLOT]!, target]]);
    else own.push([words[at + SLOT]!, target]);
    const users = byTarget.get(target);
    if (users === undefined) byTarget.set(target, new Set([user]));
    else users.add(user);
  }
  return { byUser, byTarget };
}

/**
 * Whether two users' doubtful uses are of twins, slot by slot, whichever of the objects is meant: in users of equal contents that is the
 * same one. `alike`: two symbols, one of each build, that count as twins.
 */
export function doubtsAgree(
  { orig, patched }: BothUses,
  a: number,
  b: number,
  alike: (target: number, other: number) => boolean,
): boolean {
  const ours = orig.doubtful.byUser.get(a) ?? NO_DOUBTS;
  const theirs = patched.doubtful.byUser.get(b) ?? NO_DOUBTS;
  return (
    ours.length === theirs.length &&
    ours.every(([slot, target], i) => slot === theirs[i]![0] && alike(target, theirs[i]![1]))
  );
}

export interface BothUses {
  orig: UseIndex;
  patched: UseIndex;
}

function wordOf(words: Uint32Array, use: number, column: number): number {
  return words[(use - 1) * USE_WORDS + column]!;
}

/** Uses in chains by the symbol that stands in one of their words. Only the uses are gone through, not the symbols. */
class Chains {
  /** By symbol. */
  private readonly firsts: Uint32Array;
  /** By use: the same symbol's next one. */
  private readonly next: Uint32Array;

  constructor(words: Uint32Array, column: number, symbols: number) {
    const count = Math.floor(words.length / USE_WORDS);
    const firsts = new Uint32Array(symbols);
    const next = new Uint32Array(count + 1);
    // From the last on, so that chains are in scan order.
    for (let use = count; use > 0; use--) {
      if (wordOf(words, use, USER) >= symbols || wordOf(words, use, TARGET) >= symbols) continue;
      const symbol = wordOf(words, use, column);
      next[use] = firsts[symbol]!;
      firsts[symbol] = use;
    }
    this.firsts = firsts;
    this.next = next;
  }

  /** 0 for none, and for a symbol that there is not. */
  first(symbol: SymbolIndex): number {
    return this.firsts[symbol] ?? 0;
  }

  after(use: number): number {
    return this.next[use]!;
  }
}
