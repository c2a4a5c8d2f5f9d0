import { statSync } from 'node:fs';
import { KlpflowError } from '../diagnostics';

/** Reports all files that are missing at once; one alone is told by who reads it. @throws KlpflowError `unreadable` */
export function checkPresent(paths: ReadonlyArray<string | undefined>): void {
  const missing = [...new Set(paths)].filter(
    (path): path is string => path !== undefined && path !== '' && isMissing(path),
  );
  if (missing.length > 1)
    throw new KlpflowError('unreadable', `cannot read ${missing.join(', ')}: no such files`, { object: missing[0]! });
}

/** What is there and cannot be reached (a link to itself, a path through a file) is told by who reads it, too. */
function isMissing(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}
