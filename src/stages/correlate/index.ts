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
import { joinByKey, type Group } from './groups';
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
}

/** One side's table with the uses that its scan left. */
export interface ScannedObject {
  table: ScanTable;
  uses: Uint32Array;
}

/** What stands for the unit in a key: locals belong to a pair of units, everything else to all. */
const EVERYWHERE = 0;
const PROMOTED_ANYWHERE = 1;

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

  // Each rule may free the next, so go round until none finds anything.
  for (let progress = true; progress; ) {
    progress = false;
    groups = groups.map((group) => unpaired(pairing, group)).filter((group) => group.orig.length > 0 && group.patched.length > 0);
    const votes = votesBySlot(pairing, uses.orig, uses.patched);
    for (const group of groups) {
      progress = pairByContent(pairing, group) || progress;
      progress = pairByUse(pairing, group, votes) || progress;
      progress = pairByUser(pairing, group, uses) || progress;
      progress = pairRemaining(pairing, group, uses) || progress;
    }
  }
  return { pairing, ambiguous: groups, units, uses };
}

function joinByScope(pairing: Pairing): Group[] {
  const { orig, patched, unitTwin } = pairing;
  const groups: Group[] = [];
  joinByKey(orig, correlatable(orig), patched, correlatable(patched), (table, symbol, side, key) => {
    const traits = table.traits[symbol]!;
    key[0] = table.hash[symbol * 2]!;
    key[1] = table.hash[symbol * 2 + 1]!;
    key[2] = table.info[symbol]! & 0xf;
    const file = table.file[symbol]!;
    key[3] = traits & Trait.PROMOTED ? PROMOTED_ANYWHERE : file === 0 ? EVERYWHERE : side === 0 ? unitTwin[file]! || 0x80000000 + file : file;
  }, (a, b) => {
    if (isNumberedVariable(orig, a) || isNumberedVariable(patched, b)) groups.push({ orig: [a], patched: [b] });
    else pairing.pair(a, b, orig.has(a, Trait.AMBIGUOUS) ? 'unit' : 'name');
  }, (group) => groups.push(group));
  return groups;
}

function pairAcrossScopes(pairing: Pairing): void {
  const { orig, patched } = pairing;
  joinByKey(orig, correlatable(orig, pairing.twin), patched, correlatable(patched, pairing.origin), (table, symbol, _side, key) => {
    key[0] = table.hash[symbol * 2]!;
    key[1] = table.hash[symbol * 2 + 1]!;
    key[2] = table.info[symbol]! & 0xf;
    key[3] = 0;
  }, (a, b) => {
    const fileA = orig.file[a]!;
    const fileB = patched.file[b]!;
    const bothLocal = fileA !== 0 && fileB !== 0;
    if (bothLocal || (isNumberedVariable(orig, a) && isNumberedVariable(patched, b))) return;
    pairing.pair(a, b, 'promotion');
  }, () => undefined);
}

function correlatable(table: ScanTable, paired?: Uint32Array): Uint32Array {
  const symbols = new Uint32Array(table.symbols);
  let count = 0;
  for (let symbol = 1; symbol < table.symbols; symbol++) {
    if ((table.traits[symbol]! & Trait.CORRELATABLE) !== 0 && (paired === undefined || paired[symbol] === 0)) symbols[count++] = symbol;
  }
  return symbols.subarray(0, count);
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
