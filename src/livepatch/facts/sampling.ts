import type { SymbolRange } from './symbols';

/** The value that occurs most often, the first of several such. */
export function commonest<T>(values: readonly T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let best: T | undefined;
  let most = 0;
  for (const [value, count] of counts) if (count > most) [best, most] = [value, count];
  return best;
}

/** Functions to look into: some 2,000 of all, evenly spread. */
export function* sample(functions: readonly SymbolRange[]): Generator<SymbolRange> {
  const step = Math.ceil(functions.length / 2048);
  for (let i = 0; i < functions.length; i += step) yield functions[i]!;
}
