import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KlpflowError, fileError } from '../diagnostics';
import type { ObjectPair } from './object-pairs';
import { treeFiles } from './tree-files';

/** Files of two folders that name a symbol, and do not hold the same: they are paired by path. @throws KlpflowError `symbol-not-found`, `several-symbols`, `unreadable` */
export function pairOfSymbol(orig: string, patched: string, symbol: string): ObjectPair {
  const theirs = new Set(treeFiles(patched).objects);
  // `unit:name`: the unit is told where the object is read.
  const name = symbol.slice(symbol.lastIndexOf(':') + 1);
  const found: ObjectPair[] = [];
  for (const path of treeFiles(orig).objects.filter((object) => theirs.has(object))) {
    const pair = { orig: join(orig, path), patched: join(patched, path) };
    const [a, b] = [contentOf(pair.orig), contentOf(pair.patched)];
    // Names stand between NULs, or before what LTO appends.
    const names = (bytes: Buffer): boolean =>
      bytes.includes(`\0${name}\0`, 0, 'latin1') || bytes.includes(`\0${name}.llvm.`, 0, 'latin1');
    if ((names(a) || names(b)) && !a.equals(b)) found.push(pair);
  }
  const [only, ...others] = found;
  if (only === undefined)
    throw new KlpflowError('symbol-not-found', `no object that differs between ${orig} and ${patched} names ${name}`, {
      symbol,
    });
  if (others.length > 0)
    throw new KlpflowError(
      'several-symbols',
      `${name} occurs in ${found.map((pair) => pair.orig).join(', ')}: explain the pair of objects that is meant`,
      { symbol },
    );
  return only;
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw fileError(path, cause, 'read');
  }
}
