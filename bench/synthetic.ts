import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writePair } from '../src/synth';
import type { Input } from './input';

const SEED = 1;

/** A kernel of our own making with the usual small patch, for where there is no corpus, and for any size. */
export async function syntheticInput(functions: number, folder: string): Promise<Input> {
  mkdirSync(folder);
  const file = (name: string): string => join(folder, name);
  const [orig, patched, otherPatched, duplicate] = ['orig.o', 'patched.o', 'other-patched.o', 'same-orig.o'].map(
    file,
  ) as [string, string, string, string];
  await writePair(
    {
      functions,
      seed: SEED,
      changes: { immediates: 2, strings: 1, instructions: 1, staticLocals: 1, newFunctions: 1 },
    },
    orig,
    patched,
  );
  // The seed decides the original, so another patch's pair brings the same one along.
  await writePair({ functions, seed: SEED, changes: { immediates: 1, callTargets: 1 } }, duplicate, otherPatched);
  rmSync(duplicate);
  return { name: `synthetic kernel, ${functions} functions`, peer: true, orig, patched, otherPatched };
}
