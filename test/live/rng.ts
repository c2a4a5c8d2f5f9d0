/** Random choices that are the same anywhere for the same words. */
export class Rng {
  private state: number;

  constructor(...words: ReadonlyArray<number | string>) {
    let hash = 2166136261;
    for (const byte of words.join('/')) hash = Math.imul(hash ^ byte.charCodeAt(0), 16777619);
    this.state = hash >>> 0;
    // The first numbers of neighbouring seeds resemble each other.
    for (let i = 0; i < 4; i++) this.next();
  }

  /** mulberry32 */
  private next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** From 0 to below `n`. */
  below(n: number): number {
    return this.next() % n;
  }

  /** From `low` to `high`, both among them. */
  from(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True once in so many times. */
  one(of: number): boolean {
    return this.below(of) === 0;
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error('nothing to pick from');
    return list[this.below(list.length)]!;
  }

  /** One of the words, each as often as its weight says. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const words = Object.keys(weights) as T[];
    let at = this.below(words.reduce((sum, word) => sum + weights[word], 0));
    for (const word of words) {
      if (at < weights[word]) return word;
      at -= weights[word];
    }
    throw new Error('weights add up to nothing');
  }

  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list];
    return list.map(() => rest.splice(this.below(rest.length), 1)[0]!);
  }
}
