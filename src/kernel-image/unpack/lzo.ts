/** LZO1X, as Documentation/staging/lzo.rst of the kernel describes it: a byte code of copies, from what came before and from the stream. */
export function decompressLzo1x(stream: Uint8Array, size: number): Uint8Array {
  return new Decompression(stream, new Uint8Array(size)).run();
}

/** The distance, less one, at which the longest copies begin; as it is, it marks the end. */
const FAR = 0x4000;
/** What follows a run of literals counts from here. */
const BEHIND_RUN = 0x801;
/** Bytes of a length beyond what its field holds: each 0 is 255 more. */
const MORE = 255;

class Decompression {
  private from = 0;
  private to = 0;
  /** Literals that the last instruction copied, 4 for more: what an instruction below 16 means depends on it. */
  private state = 0;

  constructor(
    private readonly stream: Uint8Array,
    private readonly output: Uint8Array,
  ) {}

  /** @throws RangeError for a stream that is damaged, or does not hold exactly the output */
  run(): Uint8Array {
    this.first();
    while (this.step());
    if (this.from !== this.stream.length) throw new RangeError(`bytes behind the end of the stream (${this.from})`);
    if (this.to !== this.output.length) throw new RangeError(`${this.to} bytes, not ${this.output.length}`);
    return this.output;
  }

  /** The first byte may be a length of literals; 17 begins another form, which only memory compression has. */
  private first(): void {
    const byte = this.stream[0];
    if (byte === undefined || byte <= 17) return;
    this.from = 1;
    this.literals(byte - 17);
    this.state = Math.min(4, byte - 17);
  }

  /** One instruction; false for the one that ends the stream. */
  private step(): boolean {
    const code = this.next();
    if (code < 16) return this.short(code);
    if (code < 64) return this.long(code);
    const distance = (this.next() << 3) + ((code >>> 2) & 7) + 1;
    return this.copied(distance, (code >>> 5) + 1, code & 3);
  }

  private short(code: number): true {
    if (this.state === 0) {
      this.literals(3 + this.length(code, 15));
      this.state = 4;
      return true;
    }
    const distance = (this.next() << 2) + (code >>> 2);
    return this.state === 4 ? this.copied(distance + BEHIND_RUN, 3, code & 3) : this.copied(distance + 1, 2, code & 3);
  }

  private long(code: number): boolean {
    const far = code < 32;
    const count = 2 + (far ? this.length(code & 7, 7) : this.length(code & 31, 31));
    const low = this.next();
    const word = low | (this.next() << 8);
    const distance = far ? FAR + ((code & 8) << 11) + (word >>> 2) : (word >>> 2) + 1;
    return distance === FAR && far ? false : this.copied(distance, count, word & 3);
  }

  /** A copy of what came before, which may reach into itself; then a few literals. */
  private copied(distance: number, count: number, literals: number): true {
    const { output } = this;
    const end = this.to + count;
    if (distance > this.to) throw new RangeError(`a copy from before the start (${this.from})`);
    if (end > output.length) throw new RangeError(`more than ${output.length} bytes`);
    for (let to = this.to; to < end; to++) output[to] = output[to - distance]!;
    this.to = end;
    this.literals(literals);
    this.state = literals;
    return true;
  }

  private literals(count: number): void {
    const { stream, output, from, to } = this;
    if (from + count > stream.length) throw new RangeError('the stream ends within literals');
    if (to + count > output.length) throw new RangeError(`more than ${output.length} bytes`);
    for (let i = 0; i < count; i++) output[to + i] = stream[from + i]!;
    this.from += count;
    this.to += count;
  }

  /** A length whose field is `low`, at most `most`; 0 there: it follows. */
  private length(low: number, most: number): number {
    if (low !== 0) return low;
    let length = most;
    let byte = this.next();
    for (; byte === 0; byte = this.next()) length += MORE;
    return length + byte;
  }

  private next(): number {
    const byte = this.stream[this.from++];
    if (byte === undefined) throw new RangeError('the stream ends within an instruction');
    return byte;
  }
}
