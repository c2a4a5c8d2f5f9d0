import { statSync } from 'node:fs';
import { KlpflowError } from '../diagnostics';

/** Tells all files that are missing at once; one alone is told by who reads it. @throws KlpflowError `unreadable` */
export function checkPresent(paths: ReadonlyArray<string | undefined>): void {
  const missing = [...new Set(paths)].filter(
    (path): path is string =>
      path !== undefined && path !== '' && statSync(path, { throwIfNoEntry: false }) === undefined,
  );
  if (missing.length > 1)
    throw new KlpflowError('unreadable', `cannot read ${missing.join(', ')}: no such files`, { object: missing[0]! });
}
