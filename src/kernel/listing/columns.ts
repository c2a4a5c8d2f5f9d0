import type { Names } from './name-index';

/** Symbols of a kernel while a listing is read: columns that grow, as 150,000 objects would take longer than the parsing. */
export class Columns implements Names {
  count = 0;
  /** Where the name lies in `bytes`, and its length in bytes. */
  start: Uint32Array;
  length: Uint16Array;
  /** The address, low and high word. */
  low: Uint32Array;
  high: Uint32Array;
  /** Size in bytes, 0 where the listing has none. */
  size: Float64Array;
  /** Number of the module, 0 for vmlinux. */
  owner: Uint16Array;
  /** Number in the image's symbol table, 0 in a text. */
  symbol: Uint32Array;

  constructor(
    readonly bytes: Uint8Array,
    expected: number,
  ) {
    const capacity = Math.max(16, expected);
    this.start = new Uint32Array(capacity);
    this.length = new Uint16Array(capacity);
    this.low = new Uint32Array(capacity);
    this.high = new Uint32Array(capacity);
    this.size = new Float64Array(capacity);
    this.owner = new Uint16Array(capacity);
    this.symbol = new Uint32Array(capacity);
  }

  // biome-ignore lint/complexity/useMaxParams: called for each of 300,000 symbols, without an object each.
  add(start: number, length: number, low: number, high: number, size = 0, owner = 0, symbol = 0): void {
    const at = this.count++;
    if (at === this.start.length) this.grow();
    this.start[at] = start;
    this.length[at] = length;
    this.low[at] = low;
    this.high[at] = high;
    this.size[at] = size;
    this.owner[at] = owner;
    this.symbol[at] = symbol;
  }

  private grow(): void {
    const larger = <T extends { set(from: T): void }>(make: T, from: T): T => {
      make.set(from);
      return make;
    };
    const n = this.start.length * 2;
    this.start = larger(new Uint32Array(n), this.start);
    this.length = larger(new Uint16Array(n), this.length);
    this.low = larger(new Uint32Array(n), this.low);
    this.high = larger(new Uint32Array(n), this.high);
    this.size = larger(new Float64Array(n), this.size);
    this.owner = larger(new Uint16Array(n), this.owner);
    this.symbol = larger(new Uint32Array(n), this.symbol);
  }
}
