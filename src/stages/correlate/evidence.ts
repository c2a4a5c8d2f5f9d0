import { Trait, type ScanTable } from '../scan';
import type { Group } from './groups';
import type { Pairing } from './pairing';
import type { UseIndex } from './use-index';

/** Whether two canonical symbols have equal contents and equal special-section entries. */
export function sameContent(orig: ScanTable, a: number, patched: ScanTable, b: number): boolean {
  const d = orig.digest;
  const e = patched.digest;
  return (
    d[a * 4] === e[b * 4] &&
    d[a * 4 + 1] === e[b * 4 + 1] &&
    d[a * 4 + 2] === e[b * 4 + 2] &&
    d[a * 4 + 3] === e[b * 4 + 3] &&
    orig.special[a * 2] === patched.special[b * 2] &&
    orig.special[a * 2 + 1] === patched.special[b * 2 + 1]
  );
}

/** What speaks for a target's twin: undefined for nothing, 0 where unchanged users contradict each other. */
export type Votes = Map<number, number>;

/**
 * Collects, for the ORIG members of groups, the PATCHED target that the same slots of unchanged twins refer to. Votes that
 * contradict each other cancel the target: better ambiguous than wrong.
 */
export function votesBySlot(pairing: Pairing, orig: UseIndex, patched: UseIndex, groups: readonly Group[]): Votes {
  // Only users of open targets can tell anything; contradictions come from the same users.
  const users = new Set(groups.flatMap((group) => group.orig.flatMap((target) => [...orig.usersOf(target)])));
  const votes: Votes = new Map();
  const reverse: Votes = new Map();
  const vote = (map: Votes, from: number, to: number): void => {
    const before = map.get(from);
    map.set(from, before === undefined || before === to ? to : 0);
  };
  for (const user of users) {
    const twin = pairing.twin[user]!;
    if (twin === 0 || !sameContent(pairing.orig, user, pairing.patched, twin)) continue;
    for (const [target, otherTarget] of bySlot(orig.of(user), patched.of(twin))) {
      if (target === 0 || otherTarget === 0) continue;
      vote(votes, target, otherTarget);
      vote(reverse, otherTarget, target);
    }
  }
  for (const [target, otherTarget] of soleNameUses(pairing, orig, patched, groups)) {
    vote(votes, target, otherTarget);
    vote(reverse, otherTarget, target);
  }
  for (const [from, to] of votes) if (to !== 0 && reverse.get(to) !== from) votes.set(from, 0);
  return votes;
}

/**
 * Where a name is unique in a build its uses are not noted there, but equal contents refer to that name, and only one symbol
 * has it: [target, other target] of every unchanged user on the other side.
 */
function* soleNameUses(
  { orig, patched, twin, origin }: Pairing,
  ours: UseIndex,
  theirs: UseIndex,
  groups: readonly Group[],
): Generator<[number, number]> {
  const unchanged = (x: number, y: number): boolean => x !== 0 && y !== 0 && sameContent(orig, x, patched, y);
  for (const group of groups) {
    const [a] = group.orig;
    const [b] = group.patched;
    if (a !== undefined && !orig.has(a, Trait.AMBIGUOUS)) {
      for (const target of group.patched)
        for (const user of theirs.usersOf(target)) if (unchanged(origin[user]!, user)) yield [a, target];
    }
    if (b !== undefined && !patched.has(b, Trait.AMBIGUOUS)) {
      for (const target of group.orig)
        for (const user of ours.usersOf(target)) if (unchanged(user, twin[user]!)) yield [target, b];
    }
  }
}

/**
 * Joins two users' uses by slot, as [target, other target]. A name may prove nothing in one build only (a new unit brought a
 * namesake), so a use can lack its counterpart: 0 stands for it.
 */
export function bySlot(
  ours: ReadonlyArray<[number, number]>,
  theirs: ReadonlyArray<[number, number]>,
): Array<[number, number]> {
  const joined: Array<[number, number]> = [];
  let i = 0;
  let j = 0;
  while (i < ours.length || j < theirs.length) {
    const slot = ours[i]?.[0] ?? Infinity;
    const other = theirs[j]?.[0] ?? Infinity;
    joined.push([slot <= other ? ours[i]![1] : 0, other <= slot ? theirs[j]![1] : 0]);
    if (slot <= other) i++;
    if (other <= slot) j++;
  }
  return joined;
}

/** Whether at least one function that uses `a` in ORIG has a twin that uses `b` in PATCHED. */
export function shareUser(pairing: Pairing, orig: UseIndex, a: number, patched: UseIndex, b: number): boolean {
  const users = patched.usersOf(b);
  for (const user of orig.usersOf(a)) if (users.has(pairing.twin[user]!)) return true;
  return false;
}
