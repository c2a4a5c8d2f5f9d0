import type { Term } from '../../arch';

/** How far from what a value is based on: from, to. Infinite where a loop goes on or nothing tells. */
export type Distance = readonly [low: number, high: number];

/** Base of a plain number. */
export const NUMBER = -1;

/**
 * What a register may hold: for each relocated field of the code that its pointers come from, how far they are from what the field names.
 * A register that may hold anything else is not in a State.
 */
export type Value = ReadonlyMap<number, Distance>;
export type State = Map<number, Value>;

/** More bases than that tell nothing. */
const MOST_BASES = 4;

/** What a term is worth; undefined where that may be anything. */
export function valueOfTerm(state: State, term: Term, isRelocated: (field: number) => boolean): Value | undefined {
  const relocated = term.field >= 0 && isRelocated(term.field);
  let pointer: Value | undefined = relocated ? new Map([[term.field, [0, 0] as const]]) : undefined;
  let unknown = term.vague === true;
  let low = relocated ? 0 : term.constant;
  let high = low;
  for (const [register, factor] of term.registers) {
    const value = state.get(register);
    const number = value?.size === 1 ? value.get(NUMBER) : undefined;
    if (number !== undefined) {
      low += number[0] * factor;
      high += number[1] * factor;
    } else if (value !== undefined && factor === 1 && pointer === undefined) pointer = value;
    else unknown = true;
  }
  if (pointer === undefined) return unknown ? undefined : new Map([[NUMBER, [low, high] as const]]);
  return new Map(
    Array.from(pointer, ([base, [from, to]]) => [
      base,
      unknown ? ([-Infinity, Infinity] as const) : ([from + low, to + high] as const),
    ]),
  );
}

/** What may come by either way; undefined where that may be anything. */
export function either(a: Value, b: Value, widen: boolean): Value | undefined {
  const joined = new Map(a);
  for (const [base, [low, high]] of b) {
    const known = joined.get(base);
    if (known === undefined) joined.set(base, [low, high]);
    else
      joined.set(base, [
        low < known[0] ? (widen ? -Infinity : low) : known[0],
        high > known[1] ? (widen ? Infinity : high) : known[1],
      ]);
  }
  return joined.size > MOST_BASES ? undefined : joined;
}

/** Joins `more` into `state`; whether that changed it. */
export function joinInto(state: State, more: State, widen: boolean): boolean {
  let changed = false;
  for (const [register, value] of state) {
    const other = more.get(register);
    const joined = other === undefined ? undefined : either(value, other, widen);
    if (joined === undefined) state.delete(register);
    else if (sameValue(joined, value)) continue;
    else state.set(register, joined);
    changed = true;
  }
  return changed;
}

function sameValue(a: Value, b: Value): boolean {
  if (a.size !== b.size) return false;
  for (const [base, [low, high]] of a) {
    const other = b.get(base);
    if (other === undefined || other[0] !== low || other[1] !== high) return false;
  }
  return true;
}
