/**
 * compare: what changed, and why?
 *
 * `candidates` finds the few pairs that nothing proves equal; `comparePairs` settles each by decoding.
 */
import type { Disassembler } from '../../arch';
import { Trait } from '../scan';
import { sameContent, type Correlation, type Pairing } from '../correlate';
import { compareData } from './data';
import { compareFunctions } from './functions';
import type { Side } from './side';
import { sameSymbol } from './target';
import type { Verdict } from './verdict';

export { Side } from './side';
export type { ChangeClass, Difference, IgnoredClass, Verdict } from './verdict';

export interface Candidates {
  /** Pairs of canonical symbols that need a closer look, as [orig, patched] in ORIG's order. */
  pairs: Uint32Array;
  /** ORIG symbols whose twins differ in nothing but source lines that their records or bug entries carry. */
  lineOnly: number[];
}

/** Finds the pairs that digests or uses do not prove equal. */
export function candidates({ pairing, uses }: Pick<Correlation, 'pairing' | 'uses'>): Candidates {
  const { orig, patched, twin } = pairing;
  const { listed, listedCount } = orig;
  const found: number[] = [];
  const lineOnly: number[] = [];
  const seen = new Set<number>();
  for (let i = 0; i < listedCount; i++) {
    const symbol = listed[i]!;
    if (twin[symbol] === 0) continue;
    const a = orig.canonical[symbol]!;
    const b = patched.canonical[twin[symbol]!]!;
    if (((orig.traits[a]! | patched.traits[b]!) & Trait.CONTENT) === 0) continue;
    if (sameContent(orig, a, patched, b) && orig.size[a] === patched.size[b] && !usesDiffer(pairing, uses, a, b)) {
      if (orig.lines[a] !== patched.lines[b] && symbol === a) lineOnly.push(a);
      continue;
    }
    // Aliases share one body: compare it once.
    if (seen.has(a)) continue;
    seen.add(a);
    found.push(a, b);
  }
  return { pairs: Uint32Array.from(found), lineOnly };
}

/** Whether some slot refers to a symbol of an ambiguous name that is not the twin: equal digests do not see that. */
function usesDiffer(pairing: Pairing, uses: Correlation['uses'], a: number, b: number): boolean {
  if (!uses.orig.hasUser(a) && !uses.patched.hasUser(b)) return false;
  const ours = uses.orig.of(a);
  const theirs = uses.patched.of(b);
  if (ours.length !== theirs.length) return true;
  return ours.some(([slot, target], i) => slot !== theirs[i]![0] || !sameSymbol(pairing, target, theirs[i]![1]));
}

/** Verdicts on [orig, patched] pairs, in their order. The disassembler is asked for at the first function. */
export function comparePairs(pairing: Pairing, a: Side, b: Side, pairs: Uint32Array): Verdict[] {
  const verdicts: Verdict[] = [];
  let disassembler: Disassembler | undefined;
  for (let i = 0; i < pairs.length; i += 2) {
    const x = pairs[i]!;
    const y = pairs[i + 1]!;
    if (a.table.has(x, Trait.OBJECT)) verdicts.push(compareData(pairing, a, b, x, y));
    else verdicts.push(compareFunctions(pairing, a, b, x, y, (disassembler ??= a.arch.disassembler())));
  }
  return verdicts;
}
