import type { Side } from '../side/side';

/**
 * Pairs without those of variables that would have changed places: GCC and Clang number the statics of one name in the order of the source,
 * upwards or downwards (`count.1`, `count.2`), and an edit between them shifts all behind it alike. Equal numbers prove nothing; but where
 * instructions say that two have crossed, a compiler has reordered what it does with them (GCC stored `count.2` before `count.1` in a build
 * where their function was called, and behind it where it was inlined), or somebody has moved source: nothing tells which.
 *
 * @param mayCross whether two pairs are of one function: elsewhere functions that changed places have taken their statics along
 */
export function inNumberOrder(
  orig: Side,
  patched: Side,
  pairs: ReadonlyArray<[number, number]>,
  mayCross: (one: [number, number], other: [number, number]) => boolean,
): Array<[number, number]> {
  const numbers = pairs.map(([a, b]) => [numberOf(orig.name(a)), numberOf(patched.name(b))] as const);
  return pairs.filter(
    (one, i) =>
      !pairs.some((other, j) => {
        const [[a, b], [c, d]] = [numbers[i]!, numbers[j]!];
        return (a - c) * (b - d) < 0 && mayCross(one, other);
      }),
  );
}

/** What a compiler put behind the last dot; NaN, which no comparison holds of, where it put nothing. */
function numberOf(name: string): number {
  return Number(/\.(\d+)$/.exec(name)?.[1] ?? NaN);
}
