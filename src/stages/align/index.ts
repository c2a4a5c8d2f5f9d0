/**
 * align: which is which of what names, contents and unchanged functions leave open?
 *
 * Functions that changed tell by their instructions: laid beside each other in order, the same instruction uses the same variable. It
 * takes decoding, so it is done for open groups only; most whole kernels have none.
 */
import type { SymbolIndex } from '../../elf';
import type { Side } from '../side/side';
import { mayPair, sameContent, type Group, type Pairing, type UseIndex } from '../correlate';
import { Trait } from '../scan';
import { AlignedUses, agreed, shortOf, type Testimony, type Testimonies } from './evidence';
import { inNumberOrder } from './numbers';
import { MARGIN, WIDE_MARGIN } from './shortfall';
import { BothUsers, Users } from './users';

/** Pairs what it can of open groups, of one base name each; whoever is in none of what comes back is paired, or has no counterpart. */
export function settleByAlignment(
  pairing: Pairing,
  orig: Side,
  patched: Side,
  uses: { orig: UseIndex; patched: UseIndex },
  groups: readonly Group[],
): Group[] {
  let open = groups.map((group) => canonical(pairing, group));
  for (let progress = true; progress; ) {
    const users = new BothUsers(
      pairing,
      new Users(
        orig,
        open.flatMap((group) => group.orig),
        uses.orig,
      ),
      new Users(
        patched,
        open.flatMap((group) => group.patched),
        uses.patched,
      ),
    );
    for (const side of ['orig', 'patched'] as const)
      users.askAhead(
        side,
        open.flatMap((group) => group[side]),
      );
    const aligned = new AlignedUses(pairing, orig, patched);
    progress = false;
    for (const group of open) progress = settle({ pairing, orig, patched }, users, aligned, group) || progress;
    open = open.map((group) => stillOpen(pairing, group)).filter(isOpen);
    if (!progress) return open.map((group) => withoutStrangers(pairing, users, group)).filter(isOpen);
  }
  return open;
}

interface Both {
  pairing: Pairing;
  orig: Side;
  patched: Side;
}

function settle({ pairing, orig, patched }: Both, users: BothUsers, aligned: AlignedUses, group: Group): boolean {
  let progress = false;
  // Those of one size first: an `int` and a `long` of one name are two.
  for (const alike of [...bySize(pairing, group), group]) {
    const part = stillOpen(pairing, alike);
    if (!isOpen(part)) continue;
    const readings = readingsOf(users, aligned, part);
    const isSafe = (a: number, b: number): boolean =>
      isFunction(pairing, a) || (readings.get(a)?.get(b)?.denied !== true && isUnrivalled(a, b));
    const isUnrivalled = (a: number, b: number): boolean =>
      readings.get(a)?.get(b)?.whole === true || !hasLostRival(users, group, a, b);
    // Where every use of both is the other's whole instruction, nothing was reordered.
    const mayCross = ([a, b]: [number, number], [c, d]: [number, number]): boolean =>
      !isFunction(pairing, a) &&
      !(readings.get(a)!.get(b)!.whole && readings.get(c)!.get(d)!.whole) &&
      users.linksOf(a, d).length > 0 &&
      users.linksOf(c, b).length > 0;
    for (const [a, b] of inNumberOrder(orig, patched, decided(pairing, readings), mayCross)) {
      if (!isSafe(a, b)) continue;
      pairing.pair(a, b, 'aligned');
      progress = true;
    }
    for (const [a, b] of soleLinks(users, stillOpen(pairing, part))) {
      // Of several in one function this may be one that was removed, and one that was added elsewhere in it.
      if (
        !isSafe(a, b) ||
        (!isFunction(pairing, a) && shortOf(readings.get(a)?.get(b)) > MARGIN && isOneOfSeveral(users, aligned, a, b))
      )
        continue;
      pairing.pair(a, b, 'user');
      progress = true;
    }
  }
  return progress;
}

/** Members of one size and one protection, where both sides have some. */
function bySize({ orig, patched }: Pairing, group: Group): Group[] {
  const found = new Map<string, Group>();
  const of = (key: string): Group => {
    let part = found.get(key);
    if (part === undefined) found.set(key, (part = { orig: [], patched: [] }));
    return part;
  };
  if (group.orig.some((symbol) => !orig.has(symbol, Trait.OBJECT))) return [];
  for (const symbol of group.orig) of(`${orig.size[symbol]}:${orig.has(symbol, Trait.WRITABLE)}`).orig.push(symbol);
  for (const symbol of group.patched)
    of(`${patched.size[symbol]}:${patched.has(symbol, Trait.WRITABLE)}`).patched.push(symbol);
  return [...found.values()].filter(isOpen);
}

/** Whether another of the name has a user without a counterpart: if that was inlined into these functions, its variable is there now. */
function hasLostRival(users: BothUsers, group: Group, a: number, b: number): boolean {
  return (
    group.orig.some((other) => other !== a && users.of('orig', other).lost) ||
    group.patched.some((other) => other !== b && users.of('patched', other).lost)
  );
}

function isOneOfSeveral(users: BothUsers, aligned: AlignedUses, a: number, b: number): boolean {
  return users
    .linksOf(a, b)
    .some(([user, other]) => aligned.usesNamesake('orig', user, a) || aligned.usesNamesake('patched', other, b));
}

/** What all functions say together that use a member in one build and in the other. */
function readingsOf(users: BothUsers, aligned: AlignedUses, group: Group): Testimonies {
  const all: Testimonies = new Map();
  const seen = new Set<string>();
  for (const a of group.orig) {
    for (const b of group.patched) {
      for (const [user, other] of users.linksOf(a, b)) {
        const key = `${user}:${other}`;
        if (seen.has(key)) continue;
        seen.add(key);
        for (const [x, row] of aligned.between(user, other, group)) {
          const known = all.get(x) ?? new Map<number, Testimony>();
          all.set(x, known);
          for (const [y, reading] of row) known.set(y, agreed(known.get(y), reading));
        }
      }
    }
  }
  return all;
}

/** Pairs that the best alignments agree on, and that no other pair of either comes near, with anchors or without. */
function decided(pairing: Pairing, readings: Testimonies): Array<[number, number]> {
  const pairs: Array<[number, number]> = [];
  for (const [a, row] of readings) {
    for (const [b, reading] of row) {
      if (shortOf(reading) > 0) continue;
      const ours = [...row].filter(([other]) => other !== b).map(([, rival]) => rival);
      const theirs = [...readings].filter(([other]) => other !== a).flatMap(([, others]) => others.get(b) ?? []);
      const sure = isFunction(pairing, a) || ours.length === theirs.length || reading.affirmed;
      const margin = sure ? MARGIN : WIDE_MARGIN;
      if ([...ours, ...theirs].every(({ shortfall, anchored }) => Math.min(shortfall, anchored) >= margin))
        pairs.push([a, b]);
    }
  }
  return pairs;
}

/** Pairs that share a function with each other and with no other member. */
function soleLinks(users: BothUsers, group: Group): Array<[number, number]> {
  const links = group.orig.map((a) => group.patched.filter((b) => users.linksOf(a, b).length > 0));
  return group.orig.flatMap((a, i): Array<[number, number]> => {
    const [b, ...others] = links[i]!;
    return b === undefined || others.length > 0 || links.some((list, j) => j !== i && list.includes(b)) ? [] : [[a, b]];
  });
}

/**
 * Leaves out who can be none of the other build's: no function that comes from the source of one of its users uses such a one there.
 * A user without a counterpart (renamed, rewritten, in a unit that went) may be any user without one.
 */
function withoutStrangers(pairing: Pairing, users: BothUsers, group: Group): Group {
  const maybe = (a: number, b: number): boolean =>
    users.linksOf(a, b).length > 0 ||
    (users.of('orig', a).lost && users.of('patched', b).lost) ||
    (mayPair(pairing, a, b) &&
      (isFunction(pairing, a) ||
        (!pairing.orig.has(a, Trait.WRITABLE) && sameContent(pairing.orig, a, pairing.patched, b))));
  return {
    orig: group.orig.filter((a) => group.patched.some((b) => maybe(a, b))),
    patched: group.patched.filter((b) => group.orig.some((a) => maybe(a, b))),
  };
}

function canonical({ orig, patched }: Pairing, group: Group): Group {
  return {
    orig: [...new Set(group.orig.map((symbol) => orig.canonical[symbol]!))],
    patched: [...new Set(group.patched.map((symbol) => patched.canonical[symbol]!))],
  };
}

function stillOpen({ twin, origin }: Pairing, group: Group): Group {
  return {
    orig: group.orig.filter((symbol) => twin[symbol] === 0),
    patched: group.patched.filter((symbol) => origin[symbol] === 0),
  };
}

function isOpen({ orig, patched }: Group): boolean {
  return orig.length > 0 && patched.length > 0;
}

function isFunction({ orig }: Pairing, symbol: SymbolIndex): boolean {
  return !orig.has(symbol, Trait.OBJECT);
}
