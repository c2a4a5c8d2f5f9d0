import type { SymbolIndex } from '../../elf';
import { SAME_KIND, WHOLE } from './instructions';
import { Alignment } from './score';

/** A variable, and the instructions that use it. */
export interface Used {
  symbol: SymbolIndex;
  at: number[];
}

/** Two variables that may be one, and by how much the best alignment in which a use of one goes with a use of the other falls short of the best of all. */
export interface Contender {
  a: Used;
  b: Used;
  shortfall: number;
  /** The best alignment has every instruction of the shorter function, whole. */
  pure: boolean;
}

type Likeness = (i: number, j: number) => number;

/** Another reading of the code has to be worse by an instruction at least: by what one of another operand is short of a whole one. */
export const MARGIN = WHOLE - SAME_KIND;

/**
 * And where one of several statics of a function came or went, by two: which one it was, a compiler's schedule may say. A patch took the first
 * `count` of two out and multiplied the second by 2 instead of 3, as the first had been; Clang tested a flag between the two loads, and read in
 * order one instruction more spoke for the first.
 */
export const WIDE_MARGIN = 2 * WHOLE;

/**
 * Every two variables of which some uses can go together. Where two readings are as good, all uses count: if two variables are one, no
 * use of either goes with a use of another. Of three `pr_warn_once` of which the second is new, the test of ORIG's first flag goes with
 * the test of the new one just as well, as long as the store behind it may go with another flag's store.
 */
export function contenders(
  rows: number,
  columns: number,
  alike: Likeness,
  ours: readonly Used[],
  theirs: readonly Used[],
): Contender[] {
  const alignment = new Alignment(rows, columns, alike);
  const pure = alignment.best === WHOLE * Math.min(rows, columns);
  const all = ours
    .flatMap((a) => theirs.map((b) => ({ a, b, pure, shortfall: alignment.best - through(alignment, alike, a, b) })))
    .filter(({ shortfall }) => shortfall < Infinity);
  const near = all.filter(({ shortfall }) => shortfall < MARGIN);
  return all.map((candidate) => {
    const { a, b } = candidate;
    if (!near.includes(candidate) || !near.some((other) => other !== candidate && (other.a === a || other.b === b)))
      return candidate;
    const [usesA, usesB] = [new Set(a.at), new Set(b.at)];
    const only: Likeness = (i, j) => (usesA.has(i) === usesB.has(j) ? alike(i, j) : 0);
    return { a, b, pure, shortfall: alignment.best - through(new Alignment(rows, columns, only), only, a, b) };
  });
}

/** Score of the best alignment in which a use of `a` goes with a use of `b`. */
function through(alignment: Alignment, alike: Likeness, a: Used, b: Used): number {
  let best = -Infinity;
  for (const i of a.at) for (const j of b.at) if (alike(i, j) > 0) best = Math.max(best, alignment.through(i, j));
  return best;
}
