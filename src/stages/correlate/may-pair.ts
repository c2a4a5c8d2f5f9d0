import { Trait, type ScanTable } from '../scan';
import type { Group } from './groups';
import type { Pairing } from './pairing';

/** Two locals can be one only if their units are; anything else may have changed its scope. */
export function mayPair({ orig, patched, unitTwin }: Pairing, a: number, b: number): boolean {
  const unitA = orig.file[a]!;
  const unitB = patched.file[b]!;
  return unitA === 0 || unitB === 0 || unitTwin[unitA] === unitB;
}

/**
 * Whether a name that is alone on both sides is still no proof: a numbered variable, which may be another function's, and a
 * promoted one of another unit hash, which may be another unit's.
 */
export function needsEvidence({ orig, patched, soleUnit }: Pairing, a: number, b: number): boolean {
  if (isNumberedVariable(orig, a) || isNumberedVariable(patched, b)) return true;
  return !soleUnit && (isPromotedVariable(orig, a) || isPromotedVariable(patched, b)) && orig.suffix[a] !== patched.suffix[b];
}

function isPromotedVariable(table: ScanTable, symbol: number): boolean {
  return table.has(symbol, Trait.WRITABLE) && table.has(symbol, Trait.PROMOTED);
}

export function unpaired(pairing: Pairing, group: Group): Group {
  return { orig: group.orig.filter((symbol) => pairing.twin[symbol] === 0), patched: group.patched.filter((symbol) => pairing.origin[symbol] === 0) };
}

/** A local like `counter.5`: the number is the build's own, and two of them may be different variables. */
function isNumberedVariable(table: ScanTable, symbol: number): boolean {
  return table.has(symbol, Trait.WRITABLE) && table.has(symbol, Trait.NUMBERED) && table.has(symbol, Trait.UNIT_LOCAL);
}
