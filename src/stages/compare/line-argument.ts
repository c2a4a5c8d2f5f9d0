import { lineArgument, printsValues } from '../../arch';
import type { Pairing } from '../correlate';
import type { Decoded } from '../side/decoded';
import { LineMoves } from './line-moves';
import { argumentOf, isToldLine } from './told-line';

/**
 * Whether the constants that instruction `index` of both functions loads are one source line that moved. That is proven, never guessed
 * (a limit of 100 ms that is printed behind the file name became 200, and the patch was lost): by a function that takes nothing else
 * there, by a format that puts `:` between the file and the number, by a record of the same function (`__bug_table`) that holds the
 * same two lines, or, behind the file's or the function's name, by records of the unit before and behind it that moved as far.
 */
export function isMovedLine(
  pairing: Pairing,
  a: Decoded,
  b: Decoded,
  index: number,
  units: ReadonlySet<string>,
): boolean {
  const [x, y] = [argumentOf(a, index, units), argumentOf(b, index, units)];
  if (x === undefined || y === undefined || x.argument !== y.argument || x.call.callee !== y.call.callee) return false;
  if (isToldLine(x) && isToldLine(y)) return true;
  if (lineArgument(x.call.callee) !== 0) return false;
  const moves = LineMoves.of(pairing, a.side, b.side);
  if (moves.inFunction(a.symbol, b.symbol).some((move) => move.orig === x.value && move.patched === y.value))
    return true;
  return (
    !printsValues(x.call.callee) &&
    x.call.strings.get(x.argument - 1)?.where === true &&
    moves.surround(a.symbol, x.value, y.value)
  );
}
