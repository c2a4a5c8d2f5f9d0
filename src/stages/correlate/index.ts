/**
 * correlate: which symbol is which?
 *
 * Names decide where they are unique. Where they are not, evidence does, never order: in a 7.2 kernel `apic_pm_state.3`
 * is one field of a split struct in one build and another field in the next, 15 of them equal byte for byte, and a
 * livepatch bound to the wrong one corrupts memory in silence. So equal content pairs functions and read-only data
 * (which are interchangeable when equal), and writable objects pair by who uses them where. The upstream tool pairs
 * what is left by rank; here it is ambiguous, and refused where a livepatch would depend on it.
 */
import { Trait, USE_WORDS, type ScanTable } from '../scan';
import { sameContent, shareUser, votesBySlot } from './evidence';
import { joinByKey, keysOf, type Group } from './groups';
import { joinInOrder } from './in-order';
import { Pairing } from './pairing';
import { pairBySuffix } from './promoted';
import { pairUnits } from './units';
import { UseIndex } from './use-index';

export { EVIDENCE, Pairing, RULES, type Rule } from './pairing';
export { namesOf, originOf, twinOf } from './bodies';
export { bySlot, sameContent } from './evidence';
export { UseIndex } from './use-index';

/** Symbols that share a name and that no evidence tells apart. */
export interface AmbiguousGroup extends Group {
  /** Whether anything refers to a member. Nobody can depend on the others (`___tp_str.N`, 95 of them in one unit of 6.12). */
  used: boolean;
}

export interface Correlation {
  pairing: Pairing;
  ambiguous: AmbiguousGroup[];
  /** FILE symbols without a twin. */
  units: { removed: number[]; added: number[] };
  uses: { orig: UseIndex; patched: UseIndex };
  /**
   * ORIG symbols without a twin about which unchanged users disagree: one of those users changed in nothing but which symbol
   * of the name it refers to, and nothing tells which.
   */
  contradicted: number[];
  /** Correlatable symbols without a twin, in table order; the ambiguous ones are among them. */
  unpaired: { orig: number[]; patched: number[] };
}

/** One side's table with the uses that its scan left. */
export interface ScannedObject {
  table: ScanTable;
  uses: Uint32Array;
}

/** What names alone say: nearly all pairs, and the groups that need evidence. */
export interface NamePairs {
  pairing: Pairing;
  units: Correlation['units'];
  /** Groups of one name and one scope. */
  scoped: Group[];
}

/**
 * The first half of correlation: it needs tables but no digests, so it can run while those are made. Undefined where even
 * the units can only be told by content; `correlate` then does it all.
 */
export function pairByName(orig: ScanTable, patched: ScanTable, contents = false): NamePairs | undefined {
  const pairing = new Pairing(orig, patched);
  const units = pairUnits(pairing, contents);
  if (units === undefined) return undefined;
  // Most names stand alone, and in the same order.
  joinInOrder(pairing);
  // Names within their scope come next: they leave few symbols for the costly rules.
  const scoped = joinByScope(pairing);
  // Unit hashes are learnt from pairs, so this needs the names to be done.
  pairBySuffix(pairing);
  return { pairing, units, scoped };
}

/** `mayTake` is asked before groups are told apart, for that takes memory by their members; it throws where there is not enough. */
export function correlate(orig: ScannedObject, patched: ScannedObject, named: NamePairs = pairByName(orig.table, patched.table, true)!, mayTake: (groups: readonly Group[]) => void = () => undefined): Correlation {
  const { pairing, units, scoped } = named;
  const uses = { orig: new UseIndex(orig.uses, orig.table.symbols), patched: new UseIndex(patched.uses, patched.table.symbols) };
  markUsers(orig);
  markUsers(patched);

  mayTake(scoped);
  settle(pairing, scoped, uses);
  // Then names whose scope changed: LTO promotes a static in one build and not in the other.
  const anywhere = joinAnywhere(pairing);
  mayTake(anywhere);
  const ambiguous = settle(pairing, anywhere, uses);
  const votes = votesBySlot(pairing, uses.orig, uses.patched, ambiguous);
  const contradicted = ambiguous.flatMap(({ orig: members }) => members).filter((symbol) => votes.get(symbol) === 0);
  const isUsed = ({ orig: ours, patched: theirs }: Group): boolean => ours.some((symbol) => uses.orig.isUsed(symbol)) || theirs.some((symbol) => uses.patched.isUsed(symbol));
  return { pairing, ambiguous: ambiguous.map((group) => ({ ...group, used: isUsed(group) })), contradicted, units, uses, unpaired: { orig: withoutTwin(orig.table, pairing.twin), patched: withoutTwin(patched.table, pairing.origin) } };
}

/** Symbols that refer to names which prove nothing: equal digests are not yet equal contents. */
function markUsers({ table, uses }: ScannedObject): void {
  for (let at = 0; at < uses.length; at += USE_WORDS) if (uses[at]! < table.symbols) table.traits[uses[at]!]! |= Trait.HAS_USES;
}

/** Applies the rules of evidence to groups until none finds anything; returns what is left of them. */
function settle(pairing: Pairing, groups: Group[], uses: Correlation['uses']): Group[] {
  // Content needs no other pairs; with it most groups are done, and uses are looked at only for the rest.
  for (const group of groups) pairByContent(pairing, group, uses);
  let open = stillOpen(pairing, groups);
  for (let progress = open.length > 0; progress; ) {
    progress = false;
    const votes = votesBySlot(pairing, uses.orig, uses.patched, open);
    for (const group of open) progress = pairByUse(pairing, group, votes) || progress;
    // Uses may have told equal ones apart, so ask for content only after them.
    for (const group of open) progress = pairByContent(pairing, group, uses) || progress;
    if (!progress) for (const group of open) progress = pairByUser(pairing, group, uses) || pairRemaining(pairing, group, uses) || progress;
    open = stillOpen(pairing, open);
  }
  return open;
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
  const groups = joinByKey(keysOf(orig, pairing.twin, unitTwin), keysOf(patched, pairing.origin, null), (a, b) => {
    if (needsEvidence(pairing, a, b)) doubtful.push({ orig: [a], patched: [b] });
    else pairing.pair(a, b, (orig.traits[a]! & Trait.AMBIGUOUS) !== 0 ? 'unit' : 'name');
  });
  return [...groups, ...doubtful];
}

/** Groups of all symbols that are left, by name alone. Sole ones pair if their scopes allow it. */
function joinAnywhere(pairing: Pairing): Group[] {
  const { orig, patched } = pairing;
  const doubtful: Group[] = [];
  const groups = joinByKey(keysOf(orig, pairing.twin, undefined), keysOf(patched, pairing.origin, undefined), (a, b) => {
    if (!mayPair(pairing, a, b)) return;
    if (needsEvidence(pairing, a, b)) doubtful.push({ orig: [a], patched: [b] });
    else pairing.pair(a, b, 'promotion');
  });
  return [...groups.filter((group) => group.orig.some((a) => group.patched.some((b) => mayPair(pairing, a, b)))), ...doubtful];
}

/** Two locals can be one only if their units are; anything else may have changed its scope. */
function mayPair({ orig, patched, unitTwin }: Pairing, a: number, b: number): boolean {
  const unitA = orig.file[a]!;
  const unitB = patched.file[b]!;
  return unitA === 0 || unitB === 0 || unitTwin[unitA] === unitB;
}

/**
 * Whether a name that is alone on both sides is still no proof: a numbered variable, which may be another function's, and a
 * promoted one of another unit hash, which may be another unit's.
 */
function needsEvidence({ orig, patched, soleUnit }: Pairing, a: number, b: number): boolean {
  if (isNumberedVariable(orig, a) || isNumberedVariable(patched, b)) return true;
  return !soleUnit && (isPromotedVariable(orig, a) || isPromotedVariable(patched, b)) && orig.suffix[a] !== patched.suffix[b];
}

function isPromotedVariable(table: ScanTable, symbol: number): boolean {
  return table.has(symbol, Trait.WRITABLE) && table.has(symbol, Trait.PROMOTED);
}

function unpaired(pairing: Pairing, group: Group): Group {
  return { orig: group.orig.filter((symbol) => pairing.twin[symbol] === 0), patched: group.patched.filter((symbol) => pairing.origin[symbol] === 0) };
}

/** A local like `counter.5`: the number is the build's own, and two of them may be different variables. */
function isNumberedVariable(table: ScanTable, symbol: number): boolean {
  return table.has(symbol, Trait.WRITABLE) && table.has(symbol, Trait.NUMBERED) && table.has(symbol, Trait.UNIT_LOCAL);
}

/**
 * Functions and read-only data of equal content are interchangeable: k equal ones pair with k equal ones in any order.
 *
 * Not if the sides hold different numbers of them while other members differ: then one of them changed, and which one only
 * their users can tell. What they refer to by names that prove nothing counts as content, too: by its twin.
 */
function pairByContent(pairing: Pairing, group: Group, uses: Correlation['uses']): boolean {
  const contents = byContent(pairing, unpaired(pairing, group), uses);
  let progress = false;
  for (const equal of contents) {
    const sole = equal.orig.length === 1 && equal.patched.length === 1;
    if (!sole && equal.orig.length !== equal.patched.length && contents.length > 1) continue;
    for (let i = 0; i < Math.min(equal.orig.length, equal.patched.length); i++) {
      if (!mayPair(pairing, equal.orig[i]!, equal.patched[i]!)) continue;
      pairing.pair(equal.orig[i]!, equal.patched[i]!, sole ? 'content' : 'identical');
      progress = true;
    }
  }
  return progress;
}

/** Members of equal contents, known by the first of them. */
interface Content extends Group {
  table: ScanTable;
  symbol: number;
  uses: string;
  /** Another one with the same key. */
  next: Content | undefined;
}

/** The group's members by content, in the order of the first of each. A writable object is equal to none. */
function byContent(pairing: Pairing, group: Group, uses: Correlation['uses']): Group[] {
  const all: Content[] = [];
  // By some words of the content, and by all of the uses: 16,000 functions of one name that differ in their uses alone took 20 seconds in one chain.
  const byKey = new Map<number | string, Content>();
  const add = (side: 'orig' | 'patched', symbol: number): void => {
    const table = pairing[side];
    const canonical = table.canonical[symbol]!;
    const isWritable = table.has(symbol, Trait.WRITABLE);
    const own = isWritable ? '' : usesKey(pairing, uses, canonical, side);
    const word = table.digest[canonical * 4]! ^ Math.imul(table.special[canonical * 2]!, 0x9e3779b1) ^ Math.imul(table.size[symbol]!, 0x85ebca6b);
    const key = own === '' ? word : `${own}${word}`;
    const next = isWritable ? undefined : byKey.get(key);
    for (let known = next; known !== undefined; known = known.next) {
      if (known.uses !== own || known.table.size[known.symbol] !== table.size[symbol] || !sameContent(known.table, known.table.canonical[known.symbol]!, table, canonical)) continue;
      known[side].push(symbol);
      return;
    }
    const content: Content = { orig: [], patched: [], table, symbol, uses: own, next };
    content[side].push(symbol);
    all.push(content);
    if (!isWritable) byKey.set(key, content);
  };
  for (const symbol of group.orig) add('orig', symbol);
  for (const symbol of group.patched) add('patched', symbol);
  return all;
}

/** The twins of what a symbol refers to by ambiguous names, as part of its content; unique while one of them has no twin. */
function usesKey({ twin, patched }: Pairing, uses: Correlation['uses'], symbol: number, side: 'orig' | 'patched'): string {
  if (uses[side].wordsOf(symbol).length === 0) return '';
  return uses[side].of(symbol).map(([slot, target]) => {
    if (target === symbol) return `${slot}:self;`;
    if (side === 'patched') return `${slot}:${target};`;
    return twin[target] === 0 ? `${slot}:open ${target};` : `${slot}:${patched.canonical[twin[target]!]};`;
  }).join('');
}

function pairByUse(pairing: Pairing, group: Group, votes: Map<number, number>): boolean {
  let progress = false;
  const members = new Set(group.patched);
  for (const a of group.orig) {
    const b = votes.get(a) ?? 0;
    if (b === 0 || pairing.twin[a] !== 0 || pairing.origin[b] !== 0 || !members.has(b) || !mayPair(pairing, a, b)) continue;
    pairing.pair(a, b, 'use');
    progress = true;
  }
  return progress;
}

/**
 * Pairs two that share a using function with each other and with nothing else in the group. Only where every user of the
 * group has a twin: a function that was inlined brings its variables to its caller's.
 */
function pairByUser(pairing: Pairing, group: Group, uses: Correlation['uses']): boolean {
  let progress = false;
  const free = unpaired(pairing, group);
  if (free.orig.length * free.patched.length > 10_000) return false;
  const lost = free.orig.some((a) => [...uses.orig.usersOf(a)].some((user) => pairing.twin[user] === 0))
    || free.patched.some((b) => [...uses.patched.usersOf(b)].some((user) => pairing.origin[user] === 0));
  if (lost) return false;
  const links = free.orig.map((a) => free.patched.filter((b) => mayPair(pairing, a, b) && shareUser(pairing, uses.orig, a, uses.patched, b)));
  free.orig.forEach((a, i) => {
    const [b, ...others] = links[i]!;
    if (b === undefined || others.length > 0) return;
    if (links.some((list, j) => j !== i && list.includes(b))) return;
    pairing.pair(a, b, 'user');
    progress = true;
  });
  return progress;
}

/** The last one of a name on both sides. For a doubtful variable that is only a position, so it needs a common user, or none at all. */
function pairRemaining(pairing: Pairing, group: Group, uses: Correlation['uses']): boolean {
  const free = unpaired(pairing, group);
  if (free.orig.length !== 1 || free.patched.length !== 1) return false;
  const [a] = free.orig as [number];
  const [b] = free.patched as [number];
  if (!mayPair(pairing, a, b)) return false;
  const unused = !uses.orig.isUsed(a) && !uses.patched.isUsed(b);
  if (needsEvidence(pairing, a, b) && !unused && !shareUser(pairing, uses.orig, a, uses.patched, b)) return false;
  pairing.pair(a, b, 'remaining');
  return true;
}
