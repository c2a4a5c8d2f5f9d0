import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { writePair, type Changes } from '../../src/synth';

export interface SmallPair {
  orig: string;
  patched: string;
}

const CHANGES: Changes = {
  immediates: 4,
  callTargets: 3,
  strings: 3,
  instructions: 4,
  staticLocals: 2,
  newFunctions: 2,
  removedFunctions: 1,
};

/** Two builds of a synthetic kernel that differ in 18 functions: 330 KB each, a third of a second to compare. The same bytes every time. */
export async function smallPair(folder: string, functions = 300, changes: Changes = CHANGES): Promise<SmallPair> {
  mkdirSync(folder, { recursive: true });
  const [orig, patched] = [join(folder, 'orig.o'), join(folder, 'patched.o')];
  await writePair({ functions, seed: 1, changes }, orig, patched);
  return { orig, patched };
}

/** All files of a run directory, relative to it. */
export function filesOf(runDir: string): string[] {
  return readdirSync(runDir, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(pb|json|tmp)$/.test(path))
    .sort();
}

/** Files that a run left half-written. */
export function halfWritten(runDir: string): string[] {
  return filesOf(runDir).filter((path) => basename(path).endsWith('.tmp'));
}
