/**
 * correlate: which symbol is which?
 *
 * Names decide where they are unique. Where they are not, evidence does, never order: in a 7.2 kernel `apic_pm_state.3`
 * is one field of a split struct in one build and another field in the next, 15 of them equal byte for byte, and a
 * livepatch bound to the wrong one corrupts memory in silence. So equal content pairs functions and read-only data
 * (which are interchangeable when equal), and writable objects pair by who uses them where. The upstream tool pairs
 * what is left by rank; here it is ambiguous, and refused where a livepatch would depend on it.
 */
import { DOUBTFUL_USE, Trait, USE_WORDS, type ScanTable } from '../scan';
import { votesBySlot } from './evidence';
import { joinByKey, keysOf, type Group } from './groups';
import { joinInOrder } from './in-order';
import { mayPair, needsEvidence, unpaired } from './may-pair';
import { Pairing } from './pairing';
import { pairBySuffix } from './promoted';
import { pairByContent, pairByUse, pairByUser, pairRemaining } from './rules';
import { areDoubtful, pairUnits, type PairedUnits } from './units';
import { UseIndex, type BothUses } from './use-index';

export { EVIDENCE, Pairing, RULES, type Rule, type SharedPairing } from './pairing';
export { namesOf, originOf, twinOf } from './bodies';
export { bySlot, sameContent } from './evidence';
export type { Group } from './groups';
export { mayPair } from './may-pair';
export { UseIndex, doubtsAgree, type BothUses } from './use-index';

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
  uses: BothUses;
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
  units: PairedUnits;
  /** Groups of one name and one scope. */
  scoped: Group[];
}

/**
 * The first half of correlation: it needs tables but no digests, so it can run while those are made. Undefined where even
 * the units can only be told by content; `correlate` then does it all.
 */
export function pairByName(
  orig: ScanTable,
  patched: ScanTable,
  uses?: BothUses,
  declared: readonly number[] = [],
): NamePairs | undefined {
  const steps = nameSteps(orig, patched, uses, declared);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** `pairByName` a step at a time, for a thread that others ask for work meanwhile. */
export function* nameSteps(
  orig: ScanTable,
  patched: ScanTable,
  uses?: BothUses,
  declared: readonly number[] = [],
): Generator<void, NamePairs | undefined> {
  const pairing = new Pairing(orig, patched);
  const units = pairUnits(pairing, uses);
  if (units === undefined) return undefined;
  yield;
  // What somebody declares comes before all rules, which leave it alone.
  for (let i = 0; i < declared.length; i += 2) pairing.pair(declared[i]!, declared[i + 1]!, 'declared');
  // Most names stand alone, and in the same order; the join by key finds them, too, and looks at what is paired.
  if (declared.length === 0) joinInOrder(pairing);
  yield;
  // Names within their scope come next: they leave few symbols for the costly rules.
  const scoped = joinByScope(pairing);
  yield;
  // Unit hashes are learnt from pairs, so this needs the names to be done.
  pairBySuffix(pairing);
  return { pairing, units, scoped };
}

/** `declared` are pairs by hand, as ORIG's and PATCHED's symbol in turn. `mayTake` is asked before groups are told apart, for that takes memory by their members; it throws where there is not enough. */
export function correlate(
  orig: ScannedObject,
  patched: ScannedObject,
  known?: NamePairs,
  mayTake: (groups: readonly Group[]) => void = () => undefined,
  declared: readonly number[] = [],
): Correlation {
  const uses = {
    orig: new UseIndex(orig.uses, orig.table.symbols),
    patched: new UseIndex(patched.uses, patched.table.symbols),
  };
  const { pairing, units, scoped } =
    known !== undefined && !areDoubtful(known.pairing, uses, known.units)
      ? known
      : pairByName(orig.table, patched.table, uses, declared)!;
  markUsers(orig);
  markUsers(patched);

  mayTake(scoped);
  settle(pairing, scoped, uses);
  // Then names whose scope changed: LTO promotes a static in one build and not in the other.
  const anywhere = joinAnywhere(pairing);
  mayTake(anywhere);
  return withOpen({ pairing, units, uses }, settle(pairing, anywhere, uses));
}

/** A correlation that leaves these groups open. */
export function withOpen(
  { pairing, units, uses }: Pick<Correlation, 'pairing' | 'units' | 'uses'>,
  open: readonly Group[],
): Correlation {
  const { orig, patched } = pairing;
  const votes = votesBySlot(pairing, uses.orig, uses.patched, open);
  const contradicted = open.flatMap(({ orig: members }) => members).filter((symbol) => votes.get(symbol) === 0);
  const isUsed = ({ orig: ours, patched: theirs }: Group): boolean =>
    ours.some((symbol) => !orig.has(symbol, Trait.AMBIGUOUS) || uses.orig.isUsed(symbol)) ||
    theirs.some((symbol) => !patched.has(symbol, Trait.AMBIGUOUS) || uses.patched.isUsed(symbol));
  return {
    pairing,
    ambiguous: open.map((group) => ({ ...group, used: isUsed(group) })),
    contradicted,
    units,
    uses,
    unpaired: { orig: withoutTwin(orig, pairing.twin), patched: withoutTwin(patched, pairing.origin) },
  };
}

/** Symbols that refer to names which prove nothing: equal digests are not yet equal contents. */
function markUsers({ table, uses }: ScannedObject): void {
  for (let at = 0; at < uses.length; at += USE_WORDS) {
    if (uses[at]! < table.symbols)
      table.traits[uses[at]!]! |= uses[at + 2]! >= DOUBTFUL_USE ? Trait.DOUBTFUL : Trait.HAS_USES;
  }
}

/** Applies the rules of evidence to groups until none finds anything; returns what is left of them. */
function settle(pairing: Pairing, groups: Group[], uses: BothUses): Group[] {
  // Content needs no other pairs; with it most groups are done, and uses are looked at only for the rest.
  for (const group of groups) pairByContent(pairing, group, uses);
  let open = stillOpen(pairing, groups);
  for (let progress = open.length > 0; progress; ) {
    progress = false;
    const votes = votesBySlot(pairing, uses.orig, uses.patched, open);
    for (const group of open) progress = pairByUse(pairing, group, votes) || progress;
    // Uses may have told equal ones apart, so ask for content only after them.
    for (const group of open) progress = pairByContent(pairing, group, uses) || progress;
    if (!progress)
      for (const group of open)
        progress = pairByUser(pairing, group, uses) || pairRemaining(pairing, group, uses) || progress;
    open = stillOpen(pairing, open);
  }
  return open;
}

/** Groups with members left on both sides, without the members that have a twin. */
function stillOpen(pairing: Pairing, groups: readonly Group[]): Group[] {
  return groups
    .map((group) => unpaired(pairing, group))
    .filter((group) => group.orig.length > 0 && group.patched.length > 0);
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
  const groups = joinByKey(
    keysOf(orig, pairing.twin, unitTwin),
    keysOf(patched, pairing.origin, (unit) => pairing.unitKey(unit)),
    (a, b) => {
      if (needsEvidence(pairing, a, b)) doubtful.push({ orig: [a], patched: [b] });
      else pairing.pair(a, b, (orig.traits[a]! & Trait.AMBIGUOUS) !== 0 ? 'unit' : 'name');
    },
  );
  return [...groups, ...doubtful];
}

/** Groups of all symbols that are left, by name alone. Sole ones pair if their scopes allow it; of two units, and of two scopes, they need evidence. */
function joinAnywhere(pairing: Pairing): Group[] {
  const { orig, patched } = pairing;
  const doubtful: Group[] = [];
  const groups = joinByKey(
    keysOf(orig, pairing.twin, undefined),
    keysOf(patched, pairing.origin, undefined),
    (a, b) => {
      if (!mayPair(pairing, a, b) || needsEvidence(pairing, a, b)) doubtful.push({ orig: [a], patched: [b] });
      else pairing.pair(a, b, 'promotion');
    },
  );
  return [...groups, ...doubtful];
}
