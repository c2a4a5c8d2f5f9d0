import type { Random } from '../random';

/** Shares of a sorted list at which a distribution knows the value. */
const SHARES = [0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1] as const;

const LAST = SHARES[SHARES.length - 2]!;

/** How numbers are spread: their mean, and the value at each of SHARES. */
export interface Distribution {
  count: number;
  mean: number;
  at: number[];
  /** Mean of those beyond the last share but one: the largest of a kernel's objects is a hundred times the next. */
  tail: number;
}

const NONE: Distribution = { count: 0, mean: 0, at: SHARES.map(() => 0), tail: 0 };

export function distributionOf(values: ArrayLike<number>): Distribution {
  const count = values.length;
  if (count === 0) return NONE;
  const sorted = Float64Array.from(values).sort();
  const mean = (some: Float64Array): number =>
    Math.round((some.reduce((sum, value) => sum + value, 0) / some.length) * 1000) / 1000;
  const last = sorted.subarray(Math.min(count - 1, Math.floor(LAST * count)));
  return {
    count,
    mean: mean(sorted),
    tail: mean(last),
    at: SHARES.map((share) => sorted[Math.min(count - 1, Math.floor(share * count))]!),
  };
}

/** The value at a share in [0, 1), not rounded: straight between the known ones, and behind the last share but one bent so that the mean is right. */
export function valueAt({ at, tail }: Distribution, share: number): number {
  let i = 1;
  while (i < SHARES.length - 1 && SHARES[i]! <= share) i++;
  const [from, to] = [SHARES[i - 1]!, SHARES[i]!];
  const [low, high] = [at[i - 1]!, at[i]!];
  const part = (share - from) / (to - from);
  // The mean of low + (high - low) * part ** power is low + (high - low) / (power + 1).
  const power = i === SHARES.length - 1 && tail > low ? Math.max((high - low) / (tail - low) - 1, 0) : 1;
  return low + (high - low) * part ** power;
}

/** A whole number drawn from the distribution. */
export function draw(distribution: Distribution, random: Random): number {
  return Math.round(valueAt(distribution, random.share()));
}
