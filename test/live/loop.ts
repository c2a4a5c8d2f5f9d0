/** Some of the patches of one trial, in one process: those of every `jobs`th program. */
import { patch } from './edits';
import { program, type Compilers } from './program';
import { Rng } from './rng';
import { pairOf, type Judged, type Pair, type Trial } from './trial';
import type { Program } from './model';

/** Patches of one program: it is compiled once. */
export const PATCHES = 8;

export interface Tried {
  index: number;
  cc: string;
  edits: string[];
  mayRefuse: boolean;
  judged?: Judged;
  /** The pair is none: a fault of the trial. */
  invalid?: string;
}

export interface Made {
  orig: Program;
  patched: Program;
  edits: string[];
  mayRefuse: boolean;
  pair: Pair;
}

/** Patch number `index` of a seed; the same anywhere. */
function make(seed: number, index: number, kinds: readonly string[], compilers: Compilers): Made {
  const orig = program(new Rng(seed, 'program', Math.floor(index / PATCHES)), kinds, compilers);
  const { patched, edits, mayRefuse } = patch(orig, new Rng(seed, 'patch', index), kinds);
  return { orig, patched, edits, mayRefuse, pair: pairOf(orig, patched) };
}

export async function attempt(
  trial: Trial,
  seed: number,
  index: number,
  kinds: readonly string[],
  compilers: Compilers,
): Promise<Tried & { made: Made }> {
  const made = make(seed, index, kinds, compilers);
  const tried = { index, cc: made.orig.cc, edits: made.edits, mayRefuse: made.mayRefuse, made };
  try {
    return { ...tried, judged: await trial.judge(made.pair) };
  } catch (thrown) {
    return { ...tried, invalid: (thrown as Error).message };
  }
}
