/**
 * correlate: which symbol is which?
 *
 * Names decide where they are unique. Where they are not, evidence does, never order: in a 7.2 kernel `apic_pm_state.3`
 * is one field of a split struct in one build and another field in the next, 15 of them equal byte for byte, and a
 * livepatch bound to the wrong one corrupts memory in silence. So equal content pairs functions and read-only data
 * (which are interchangeable when equal), and writable objects pair by who uses them where. The upstream tool pairs
 * what is left by rank; here it is ambiguous, and refused where a livepatch would depend on it.
 */
import { Trait, type ScanTable } from '../scan';
import { UseIndex, sameContent, shareUser, votesBySlot } from './evidence';
import { joinByKey, keysOf, type Group } from './groups';
import { Pairing, type Rule } from './pairing';
import { pairBySuffix } from './promoted';
import { pairUnits } from './units';

export { Pairing, RULES, type Rule } from './pairing';
export { UseIndex, sameContent } from './evidence';

/** Symbols that share a name and that no evidence tells apart. */
export type AmbiguousGroup = Group;

export interface Correlation {
  pairing: Pairing;
  ambiguous: AmbiguousGroup[];
  /** FILE symbols without a twin. */
  units: { removed: number[]; added: number[] };
  uses: { orig: UseIndex; patched: UseIndex };
  /** Correlatable symbols without a twin, in table order; the ambiguous ones are among them. */
  unpaired: { orig: number[]; patched: number[] };
}

/** One side's table with the uses that its scan left. */
export interface ScannedObject {
  table: ScanTable;
  uses: Uint32Array;
}

export function correlate(orig: ScannedObject, patched: ScannedObject): Correlation {
  const pairing = new Pairing(orig.table, patched.table);
  const units = pairUnits(pairing);
  const uses = { orig: new UseIndex(orig.uses), patched: new UseIndex(patched.uses) };

  // Names within their scope come first: they leave few symbols for the costly rules.
  let groups = joinByScope(pairing);
  // Then names whose scope changed: LTO promotes a static in one build and not in the other.
  pairAcrossScopes(pairing);
  // Unit hashes are learnt from pairs, so this needs the names to be done.
  pairBySuffix(pairing);

  // Content needs no other pairs; with it most groups are done, and uses are looked at only for the rest.
  for (const group of groups) pairByContent(pairing, group);
  groups = stillOpen(pairing, groups);
  // Each rule may free the next, so go round until none finds anything.
  for (let progress = groups.length > 0; progress; ) {
    progress = false;
    const votes = votesBySlot(pairing, uses.orig, uses.patched, groups.flatMap(({ orig: members }) => members));
    for (const group of groups) {
      progress = pairByContent(pairing, group) || progress;
      progress = pairByUse(pairing, group, votes) || progress;
      progress = pairByUser(pairing, group, uses) || progress;
      progress = pairRemaining(pairing, group, uses) || progress;
    }
    groups = stillOpen(pairing, groups);
  }
  return { pairing, ambiguous: groups, units, uses, unpaired: { orig: withoutTwin(orig.table, pairing.twin), patched: withoutTwin(patched.table, pairing.origin) } };
}

/** Groups with members left on both sides, without the members that have a twin. */
function stillOpen(pairing: Pairing, groups: readonly Group[]): Group[] {
  return groups.map((group) => unpaired(pairing, group)).filter((group) => group.orig.length > 0 && group.patched.length > 0);
}

function withoutTwin({ listed, listedCount, traits }: ScanTable, paired: Uint32Array): number[] {
  const left: number[] = [];
  for (let i = 0; i < listedCount; i++) {
    const symbol = listed[i]!;
    if (paired[symbol] === 0 && (traits[symbol]! & Trait.CORRELATABLE) !== 0) left.push(symbol);
  }
  return left;
}

function joinByScope(pairing: Pairing): Group[] {
  const { orig, patched, unitTwin } = pairing;
  const doubtful: Group[] = [];
  const ours = keysOf(orig, pairing.twin, unitTwin);
  const theirs = keysOf(patched, pairing.origin, null);
  const groups = joinByKey(ours, theirs, (a, b) => {
    if (isNumberedVariable(orig, a) || isNumberedVariable(patched, b)) doubtful.push({ orig: [a], patched: [b] });
    else pairing.pair(a, b, (orig.traits[a]! & Trait.AMBIGUOUS) !== 0 ? 'unit' : 'name');
  });
  return [...groups, ...doubtful];
}

function pairAcrossScopes(pairing: Pairing): void {
  const { orig, patched } = pairing;
  joinByKey(keysOf(orig, pairing.twin, undefined), keysOf(patched, pairing.origin, undefined), (a, b) => {
    const bothLocal = orig.file[a] !== 0 && patched.file[b] !== 0;
    if (bothLocal || (isNumberedVariable(orig, a) && isNumberedVariable(patched, b))) return;
    pairing.pair(a, b, 'promotion');
  });
}

function unpaired(pairing: Pairing, group: Group): Group {
  return { orig: group.orig.filter((symbol) => pairing.twin[symbol] === 0), patched: group.patched.filter((symbol) => pairing.origin[symbol] === 0) };
}

/** A local like `counter.5`: the number is the build's own, and two of them may be different variables. */
function isNumberedVariable(table: ScanTable, symbol: number): boolean {
  return table.has(symbol, Trait.WRITABLE) && table.has(symbol, Trait.NUMBERED) && table.has(symbol, Trait.UNIT_LOCAL);
}

/** Functions and read-only data of equal content are interchangeable: k equal ones pair with k equal ones in any order. */
function pairByContent(pairing: Pairing, group: Group): boolean {
  const { orig, patched } = pairing;
  const byContent = new Map<string, Group>();
  const add = (table: ScanTable, symbol: number, side: 'orig' | 'patched'): void => {
    if (table.has(symbol, Trait.WRITABLE)) return;
    const canonical = table.canonical[symbol]!;
    const key = `${table.digest.subarray(canonical * 4, canonical * 4 + 4).join()},${table.special.subarray(canonical * 2, canonical * 2 + 2).join()},${table.size[symbol]}`;
    let entry = byContent.get(key);
    if (entry === undefined) byContent.set(key, (entry = { orig: [], patched: [] }));
    entry[side].push(symbol);
  };
  for (const symbol of group.orig) if (pairing.twin[symbol] === 0) add(orig, symbol, 'orig');
  for (const symbol of group.patched) if (pairing.origin[symbol] === 0) add(patched, symbol, 'patched');
  let progress = false;
  for (const equal of byContent.values()) {
    const rule: Rule = equal.orig.length === 1 && equal.patched.length === 1 ? 'content' : 'identical';
    for (let i = 0; i < Math.min(equal.orig.length, equal.patched.length); i++) {
      pairing.pair(equal.orig[i]!, equal.patched[i]!, rule);
      progress = true;
    }
  }
  return progress;
}

function pairByUse(pairing: Pairing, group: Group, votes: Map<number, number>): boolean {
  let progress = false;
  for (const a of group.orig) {
    const b = votes.get(a) ?? 0;
    if (b === 0 || pairing.twin[a] !== 0 || pairing.origin[b] !== 0 || !group.patched.includes(b)) continue;
    pairing.pair(a, b, 'use');
    progress = true;
  }
  return progress;
}

/** Pairs two that share a using function with each other and with nothing else in the group. */
function pairByUser(pairing: Pairing, group: Group, uses: Correlation['uses']): boolean {
  let progress = false;
  const free = unpaired(pairing, group);
  if (free.orig.length * free.patched.length > 10_000) return false;
  const links = free.orig.map((a) => free.patched.filter((b) => shareUser(pairing, uses.orig, a, uses.patched, b)));
  free.orig.forEach((a, i) => {
    const [b, ...others] = links[i]!;
    if (b === undefined || others.length > 0) return;
    if (links.some((list, j) => j !== i && list.includes(b))) return;
    pairing.pair(a, b, 'user');
    progress = true;
  });
  return progress;
}

/** The last one of a name on both sides. For a numbered variable that is only a position, so it needs a common user. */
function pairRemaining(pairing: Pairing, group: Group, uses: Correlation['uses']): boolean {
  const free = unpaired(pairing, group);
  if (free.orig.length !== 1 || free.patched.length !== 1) return false;
  const [a] = free.orig as [number];
  const [b] = free.patched as [number];
  const writable = pairing.orig.has(a, Trait.WRITABLE) || pairing.patched.has(b, Trait.WRITABLE);
  const unused = !uses.orig.usersOf.has(a) && !uses.patched.usersOf.has(b);
  if (writable && isNumberedVariable(pairing.orig, a) && !unused && !shareUser(pairing, uses.orig, a, uses.patched, b)) return false;
  pairing.pair(a, b, 'remaining');
  return true;
}

/** Whether two twins' contents are the same as far as digests tell. Aliases share their canonical symbol's digest. */
export function twinsAgree(pairing: Pairing, a: number): boolean {
  return sameContent(pairing.orig, pairing.orig.canonical[a]!, pairing.patched, pairing.patched.canonical[pairing.twin[a]!]!);
}
