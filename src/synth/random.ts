/** Mixes numbers into one unsigned 32-bit number (the finalizer of MurmurHash3): the same arguments always give the same result. */
export function mix(...values: number[]): number {
  let hash = 0x9e3779b9;
  for (const value of values) {
    hash ^= value;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}

/** A small generator (mulberry32) with a period of 2^32. Not for secrets. */
export class Random {
  private state: number;

  constructor(...seed: number[]) {
    this.state = mix(...seed);
  }

  /** The next unsigned 32-bit number. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let value = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return (value ^ (value >>> 14)) >>> 0;
  }

  /** A number in [0, 1). */
  share(): number {
    return this.next() / 0x100000000;
  }

  /** An integer in [0, below). */
  below(below: number): number {
    return Math.floor((this.next() / 0x100000000) * below);
  }

  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.next() < percent * 0x028f5c28;
  }

  /** True in `share` of 1000 cases. */
  chance1000(share: number): boolean {
    return this.next() < share * 4294967.296;
  }

  /** A whole number whose mean is `mean`: one of the two next to it. */
  around(mean: number): number {
    const whole = Math.floor(mean);
    return whole + (this.share() < mean - whole ? 1 : 0);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}
