/** Where in the file of a matrix stands what a diagnostic is about. */
import { dirname, resolve } from 'node:path';
import type { Diagnostic } from '../diagnostics';
import type { Cell } from './matrix';
import type { MatrixFile, Path } from './matrix-file';

/** Which entry of the file has to be mended. */
export type Owner = 'kernel' | 'patch';

export interface Problem {
  owner: Owner;
  diagnostic: Diagnostic;
}

const LISTS = { kernel: 'kernels', patch: 'patches' } as const;

/** `fleet.yaml:12:5`: where the path of the object is written, in the entry or in the defaults; of what has no path, where the entry begins. */
export function placeOf(file: MatrixFile, { kernel, patch }: Cell, { owner, diagnostic }: Problem): string {
  const { values, place } = file;
  const entryOf = (whose: Owner): Path => {
    const name = whose === 'kernel' ? kernel.name : patch.name;
    return [LISTS[whose], values[LISTS[whose]].findIndex((one) => one.name === name)];
  };
  const { object } = diagnostic.where;
  const folder = dirname(resolve(file.path));
  const says = (text: string): boolean => resolve(folder, text.replaceAll('{kernel}', kernel.name)) === object;
  for (const from of [entryOf(owner), ['defaults', owner]]) {
    const found = object === undefined ? undefined : find(valueAt(values, from), says);
    if (found !== undefined) return place([...from, ...found]);
  }
  return place(entryOf(owner));
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((of, key) => (of as Record<string | number, unknown> | undefined)?.[key], value);
}

/** The path to the first text that is the one, in the values of an entry. */
function find(value: unknown, says: (text: string) => boolean): Path | undefined {
  if (typeof value === 'string') return says(value) ? [] : undefined;
  if (value === null || typeof value !== 'object') return undefined;
  for (const [key, inner] of Object.entries(value)) {
    // What it is called is no path.
    const found = key === 'name' ? undefined : find(inner, says);
    if (found !== undefined) return [Array.isArray(value) ? Number(key) : key, ...found];
  }
  return undefined;
}
