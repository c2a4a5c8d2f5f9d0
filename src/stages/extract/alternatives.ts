import type { SymbolIndex } from '../../elf';
import { originOf } from '../correlate';
import type { Reading } from '../places';
import type { Link } from './link';
import type { CopyInput } from './types';

/**
 * Whether two things that a reference may mean have one address in the livepatch: both are the running kernel's, where they lie as ORIG has
 * them. Then it does not matter which of them is named.
 */
export function haveOneAddress(
  { pairing, orig }: CopyInput,
  a: Reading,
  b: Reading,
  linkOf: (symbol: SymbolIndex) => Link,
): boolean {
  // What has no name is copied.
  if (a.symbol === 0 || b.symbol === 0) return false;
  const { table } = orig;
  const [x, y] = [a, b].map(({ symbol }) => originOf(pairing, symbol)) as [number, number];
  if (
    x === 0 ||
    y === 0 ||
    table.section[x] !== table.section[y] ||
    table.value[x]! + a.delta !== table.value[y]! + b.delta
  )
    return false;
  return linkOf(a.symbol).kind !== 'clone' && linkOf(b.symbol).kind !== 'clone';
}
