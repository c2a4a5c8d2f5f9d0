/**
 * What assemblers, compilers and linkers fill gaps with: zeros, and in code the processor's NOPs. It is nobody's code or data, so its
 * bytes and its length never count.
 */
export class Filling {
  private readonly patterns: readonly Uint8Array[];
  /** By byte: whether it fills a gap by itself. Most filling is runs of one. */
  private readonly alone = new Uint8Array(256);

  /** The same but for zeros, which a field with a relocation holds, too. */
  readonly nops: Filling;

  /** @param prefixes bytes that make a pattern longer when they stand before it */
  constructor(
    nops: ReadonlyArray<readonly number[]>,
    private readonly prefixes: readonly number[] = [],
    zeros = true,
  ) {
    this.nops = zeros ? new Filling(nops, prefixes, false) : this;
    // The longest first: the short ones end in the same zeros as others.
    this.patterns = [...nops, ...(zeros ? [[0]] : [])]
      .sort((a, b) => b.length - a.length)
      .map((bytes) => Uint8Array.from(bytes));
    for (const [byte, ...rest] of this.patterns) if (rest.length === 0) this.alone[byte!] = 1;
  }

  /** All in `length` bytes: the prefixes behind their number, then the patterns, each behind its length, then 0. */
  listed(length: number): Uint8Array {
    const list = [this.prefixes.length, ...this.prefixes, ...this.patterns.flatMap((one) => [one.length, ...one]), 0];
    if (list.length > length) throw new RangeError(`${list.length} bytes of filling, room for ${length}`);
    return Uint8Array.from(list);
  }

  /** Where the filling ends that begins at `start`, `stop` at most. */
  endFrom(bytes: Uint8Array, start: number, stop: number): number {
    const { alone } = this;
    for (let at = start; ; ) {
      while (at < stop && alone[bytes[at]!] === 1) at++;
      if (at === stop) return stop;
      let from = at;
      while (from < stop && this.prefixes.includes(bytes[from]!)) from++;
      // A prefix and zeros are a number: `.long 0x2e` behind a function that reads it.
      const pattern = this.patterns.find((one) => (from === at || one[0] !== 0) && matches(bytes, from, one, stop));
      if (pattern === undefined) return at;
      at = from + pattern.length;
    }
  }

  /** Where the filling begins that ends at `stop`, `start` at least. */
  startFrom(bytes: Uint8Array, start: number, stop: number): number {
    for (let at = stop; ; ) {
      const pattern = this.patterns.find((one) => at - one.length >= start && matches(bytes, at - one.length, one, at));
      if (pattern === undefined) return at;
      at -= pattern.length;
      if (pattern.length > 1 || pattern[0] !== 0) while (at > start && this.prefixes.includes(bytes[at - 1]!)) at--;
    }
  }
}

function matches(bytes: Uint8Array, at: number, pattern: Uint8Array, stop: number): boolean {
  if (at + pattern.length > stop) return false;
  for (let i = 0; i < pattern.length; i++) if (bytes[at + i] !== pattern[i]) return false;
  return true;
}

/** What fills gaps between data. */
export const ZEROS = new Filling([]);
