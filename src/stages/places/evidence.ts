import type { SymbolIndex } from '../../elf';
import { isReturnThunk } from '../../kernel/symbol-rules';
import type { Side } from '../side/side';
import { followPointers } from './pointers';
import type { Reading } from '../side/reading';
import type { Distance } from './values';

/** How a function uses the address that one relocated field stands for. */
export interface FieldUses {
  accessed: Distance[];
  /** Fields of the pointers that it is compared with; undefined: one that may come from anywhere. */
  compared: Array<readonly number[] | undefined>;
  /** It goes to a call; with it, pointers from these fields. */
  handed: Array<readonly number[]>;
  /** It is kept in memory. */
  stored: boolean;
  /** It goes back to the caller. */
  returned: boolean;
}

/**
 * Follows the pointers of a function. Empty where nothing here knows the processor's instructions.
 *
 * @param named the symbols of the function's relocations, by field
 */
export function usesIn(side: Side, symbol: SymbolIndex, named: ReadonlyMap<number, number>): Map<number, FieldUses> {
  const found = new Map<number, FieldUses>();
  const { disassembler } = side;
  if (disassembler.steps === undefined) return found;
  const of = (field: number): FieldUses => {
    let uses = found.get(field);
    if (uses === undefined)
      found.set(field, (uses = { accessed: [], compared: [], handed: [], stored: false, returned: false }));
    return uses;
  };
  const isReturn = (field: number): boolean => isReturnThunk(side.name(named.get(field) ?? 0));
  followPointers(disassembler.steps(side.bytes(symbol)), (field) => named.has(field), isReturn, {
    accessed: (field, distance) => of(field).accessed.push(distance),
    compared: (field, others) => of(field).compared.push(others),
    handed: (field, others) => of(field).handed.push(others),
    stored: (field) => (of(field).stored = true),
    returned: (field) => (of(field).returned = true),
  });
  return found;
}

/**
 * The readings that hold an access this far from the place. Where a loop makes the distance endless, the whole of it must lie on one side;
 * `loosely` what it begins with will do: `tab + 192` with an index that counts up from -24.
 */
export function readingsAccessed(
  { table }: Side,
  list: readonly Reading[],
  [low, high]: Distance,
  loosely: boolean,
): Reading[] {
  const holds =
    (distance: number) =>
    ({ symbol, delta }: Reading): boolean =>
      delta + distance >= 0 && (symbol === 0 || delta + distance < table.size[symbol]!);
  if (low === high) return list.filter(holds(low));
  const up = Number.isFinite(low);
  const down = Number.isFinite(high);
  if (up && down) return list.filter((reading) => holds(low)(reading) && holds(high)(reading));
  if (!up && !down) return [];
  return loosely || (up ? low >= 0 : high < 0) ? list.filter(holds(up ? low : high)) : [];
}
