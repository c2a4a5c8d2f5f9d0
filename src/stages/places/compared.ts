import type { SymbolIndex } from '../../elf';
import type { Reading } from '../side/reading';
import type { Side } from '../side/side';
import type { Doubt } from './doubt';

/** How far from an object a place is that may still mean it: 0 in it or at its end, 1 behind it, 2 before it. */
function rankOf({ table }: Side, { symbol, delta }: Reading): number {
  return delta < 0 ? 2 : delta > table.size[symbol]! ? 1 : 0;
}

/** As far as that from an object a reference is, if it means it or may still do so; infinite if not. */
function rankIn(side: Side, { decided, list }: Readonly<Doubt>, symbol: SymbolIndex): number {
  if (decided !== undefined) return decided.symbol === symbol ? 0 : Infinity;
  const reading = list.find((one) => one.symbol === symbol);
  return reading === undefined ? Infinity : rankOf(side, reading);
}

/** Whether a reference means an object, or may still mean a place in it or its end. */
export function mayBeIn(side: Side, reference: Readonly<Doubt>, symbol: SymbolIndex): boolean {
  return rankIn(side, reference, symbol) === 0;
}

/**
 * The one reading of a list that pointers may share which are compared with it, for they point into one object. A loop over `tab` that
 * begins where another object ends, and ends where a third one begins, goes over neither of these. The object that is nearest to all of
 * the places is meant; of two that are as near, nothing tells which.
 *
 * @param others undefined for what is no place
 */
export function onlyShared(
  side: Side,
  list: readonly Reading[],
  others: ReadonlyArray<Readonly<Doubt> | undefined>,
): Reading | undefined {
  let nearest = Infinity;
  let found: Reading | undefined;
  for (const reading of list) {
    const { symbol } = reading;
    if (symbol === 0) continue;
    const distance = others.reduce(
      (sum, other) => sum + (other === undefined ? Infinity : rankIn(side, other, symbol)),
      rankOf(side, reading),
    );
    if (distance > nearest || distance === Infinity) continue;
    found = distance < nearest ? reading : undefined;
    nearest = distance;
  }
  return found;
}
