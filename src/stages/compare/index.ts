/**
 * compare: what changed, and why?
 *
 * `candidates` finds the few pairs that nothing proves equal; `comparePairs` settles each by decoding.
 */
import { Trait } from '../scan';
import { meet } from '../places';
import { bySlot, doubtsAgree, sameContent, type Correlation, type Pairing } from '../correlate';
import { compareData } from './data';
import { dataRows } from './data-rows';
import { compareFunctions } from './functions';
import type { Side } from '../side/side';
import { sameSymbol } from '../correlate/same-symbol';
import type { Verdict } from './verdict';

export { PromotedNames, isNumberedAnew, learnHashes, promotedName } from './promoted';
export { compareUncovered, type Gaps, type UncoveredDifference } from './uncovered';
export type { Change } from './change';
export type { ChangeClass, Difference, IgnoredClass, Verdict } from './verdict';

export interface Candidates {
  /** Pairs of canonical symbols that need a closer look, as [orig, patched] in ORIG's order. */
  pairs: Uint32Array;
  /** ORIG symbols whose twins differ in nothing but source lines that their records or bug entries carry. */
  lineOnly: number[];
}

/** Finds the pairs that digests or uses do not prove equal. `suspects` are ORIG symbols that must be looked at whatever they say. */
export function candidates(
  { pairing, uses }: Pick<Correlation, 'pairing' | 'uses'>,
  suspects: ReadonlySet<number> = new Set(),
): Candidates {
  const { orig, patched, twin } = pairing;
  const { listed, listedCount } = orig;
  const found: number[] = [];
  const lineOnly: number[] = [];
  const seen = new Set<number>();
  const isTwin = (target: number, other: number): boolean =>
    twin[target] !== 0 && patched.canonical[twin[target]!] === other;
  for (let i = 0; i < listedCount; i++) {
    const symbol = listed[i]!;
    if (twin[symbol] === 0) continue;
    const a = orig.canonical[symbol]!;
    const b = patched.canonical[twin[symbol]!]!;
    const sameSize = orig.size[a] === patched.size[b];
    if (((orig.traits[a]! | patched.traits[b]!) & Trait.CONTENT) === 0 && sameSize) continue;
    const doubtful =
      ((orig.traits[a]! | patched.traits[b]!) & Trait.DOUBTFUL) !== 0 && !doubtsAgree(uses, a, b, isTwin);
    if (
      sameContent(orig, a, patched, b) &&
      sameSize &&
      !doubtful &&
      (suspects.size === 0 || !suspects.has(a)) &&
      !usesDiffer(pairing, uses, a, b)
    ) {
      if (orig.lines[a] !== patched.lines[b] && symbol === a) lineOnly.push(a);
      continue;
    }
    // Aliases share one body: compare it once with each body that its names have in the other build.
    const key = a * patched.symbols + b;
    if (seen.has(key)) continue;
    seen.add(key);
    found.push(a, b);
  }
  return { pairs: Uint32Array.from(found), lineOnly };
}

/**
 * ORIG symbols without a twin whose names occur among PATCHED symbols without a twin: the same name, not the same thing
 * (a static of a unit that was replaced by another). Who refers to one by an equal name is not equal.
 */
export function namesakesLeft({
  pairing,
  unpaired,
  ambiguous,
}: Pick<Correlation, 'pairing' | 'unpaired' | 'ambiguous'>): Set<number> {
  const { orig, patched } = pairing;
  const undecided = new Set(ambiguous.flatMap((group) => group.orig));
  const names = new Set(
    unpaired.patched.map((symbol) => patched.hash[symbol * 2]! * 0x100000000 + patched.hash[symbol * 2 + 1]!),
  );
  return new Set(
    unpaired.orig
      .filter(
        (symbol) =>
          !undecided.has(symbol) && names.has(orig.hash[symbol * 2]! * 0x100000000 + orig.hash[symbol * 2 + 1]!),
      )
      .map((symbol) => orig.canonical[symbol]!),
  );
}

/** Whether both make the same uses in the same order, of twins: the common case, without a list for each. */
function usesAgree({ twin, patched }: Pairing, uses: Correlation['uses'], a: number, b: number): boolean {
  const { orig: ours, patched: theirs } = uses;
  let x = ours.firstOf(a);
  let y = theirs.firstOf(b);
  for (; x !== 0 && y !== 0; x = ours.after(x), y = theirs.after(y)) {
    const other = twin[ours.target(x)]!;
    if (ours.slot(x) !== theirs.slot(y) || other === 0 || patched.canonical[other] !== theirs.target(y)) return false;
  }
  return x === y;
}

/** Whether some slot refers to a symbol of an ambiguous name that is not the twin: equal digests do not see that. */
function usesDiffer(pairing: Pairing, uses: Correlation['uses'], a: number, b: number): boolean {
  if (((pairing.orig.traits[a]! | pairing.patched.traits[b]!) & Trait.HAS_USES) === 0) return false;
  if (usesAgree(pairing, uses, a, b)) return false;
  return bySlot(uses.orig.of(a), uses.patched.of(b)).some(([target, other]) => {
    // A use without its counterpart: the name is unique in the other build, so whatever is there has a twin here, or a closer look.
    if (target === 0) return pairing.origin[other] === 0;
    if (other === 0) return pairing.twin[target] === 0;
    return !sameSymbol(pairing, target, other);
  });
}

/** Verdicts on [orig, patched] pairs, in their order; with `detail` those that changed say all that did. */
export function comparePairs(pairing: Pairing, a: Side, b: Side, pairs: Uint32Array, detail = false): Verdict[] {
  const verdicts: Verdict[] = [];
  meet(pairing, a, b);
  for (let i = 0; i < pairs.length; i += 2) {
    const x = pairs[i]!;
    const y = pairs[i + 1]!;
    if (a.table.has(x, Trait.OBJECT)) verdicts.push(withRows(compareData(pairing, a, b, x, y), a, b, detail));
    else verdicts.push(compareFunctions(pairing, a, b, x, y, detail));
  }
  return verdicts;
}

/** Rows of a table that are told; `explain` has all. */
const MOST_ROWS = 16;

function withRows(verdict: Verdict, a: Side, b: Side, detail: boolean): Verdict {
  if (!detail || verdict.status !== 'changed') return verdict;
  return { ...verdict, change: { kind: 'data', ...dataRows(a, verdict.orig, b, verdict.patched, MOST_ROWS) } };
}

/** Pairs that need a closer look: of more nobody reads what each one's change is. */
export const MOST_DETAILED = 4096;
