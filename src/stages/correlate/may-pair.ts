import type { SymbolIndex } from '../../elf';
import { Trait, type ScanTable } from '../scan';
import type { Group } from './groups';
import type { Pairing } from './pairing';

/** Two locals can be one only if their units are, unless their uses say otherwise; anything else may have changed its scope. */
export function mayPair(pairing: Pairing, a: number, b: number): boolean {
  const unitA = pairing.orig.file[a]!;
  const unitB = pairing.patched.file[b]!;
  return unitA === 0 || unitB === 0 || pairing.sameUnit(unitA, unitB);
}

/**
 * Whether a name that is alone on both sides is still no proof: a numbered variable, which may be another function's, and a
 * promoted one of another unit hash, which may be another unit's, as may a static that became global, or the reverse: unit a's
 * `debug` goes and unit b gets a global of that name.
 */
export function needsEvidence(pairing: Pairing, a: number, b: number): boolean {
  const { orig, patched, soleUnit } = pairing;
  if (isNumberedVariable(orig, a) || isNumberedVariable(patched, b)) return true;
  if (soleUnit) return false;
  if ((isPromotedVariable(orig, a) || isPromotedVariable(patched, b)) && orig.suffix[a] !== patched.suffix[b])
    return true;
  const [unitA, unitB] = [orig.file[a]!, patched.file[b]!];
  return (
    (orig.has(a, Trait.WRITABLE) || patched.has(b, Trait.WRITABLE)) &&
    (unitA === 0 || unitB === 0 ? unitA !== unitB : !pairing.sameUnit(unitA, unitB) || isUndecided(pairing, unitB))
  );
}

/** Whether a unit of PATCHED may be several of ORIG's. */
function isUndecided({ undecidedUnits }: Pairing, unit: number): boolean {
  return undecidedUnits.has(unit);
}

function isPromotedVariable(table: ScanTable, symbol: SymbolIndex): boolean {
  return table.has(symbol, Trait.WRITABLE) && table.has(symbol, Trait.PROMOTED);
}

export function unpaired(pairing: Pairing, group: Group): Group {
  return {
    orig: group.orig.filter((symbol) => pairing.twin[symbol] === 0),
    patched: group.patched.filter((symbol) => pairing.origin[symbol] === 0),
  };
}

/** A local like `counter.5`: the number is the build's own, and two of them may be different variables. */
function isNumberedVariable(table: ScanTable, symbol: SymbolIndex): boolean {
  return table.has(symbol, Trait.WRITABLE) && table.has(symbol, Trait.NUMBERED) && table.has(symbol, Trait.UNIT_LOCAL);
}
