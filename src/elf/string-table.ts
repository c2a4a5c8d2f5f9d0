const EMPTY = 0xffffffff;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A string table under construction: equal strings are stored once.
 *
 * A kernel built with function sections repeats one name 40,000 times (`__patchable_function_entries`) and has
 * hundreds of thousands of others, so the index is an open-addressed table of offsets into the bytes themselves
 * instead of a map of strings.
 */
export class StringTable {
  private store = new Uint8Array(4096);
  private used = 1;
  /** Two words a slot: where a string starts, and its hash. */
  private slots = new Uint32Array(2048).fill(EMPTY);
  private count = 0;

  /** The offset of `text` (UTF-8, NUL-terminated) in the table. The empty string is at 0. @throws RangeError past 4 GiB or on a NUL */
  add(text: string): number {
    if (text === '') return 0;
    const start = this.used;
    const end = this.append(text);
    const hash = this.hash(start, end);
    const mask = this.slots.length - 2;
    let slot = (hash << 1) & mask;
    for (let at = this.slots[slot]!; at !== EMPTY; at = this.slots[slot]!) {
      if (this.slots[slot + 1] === hash && this.equal(at, start, end)) return at;
      slot = (slot + 2) & mask;
    }
    this.slots[slot] = start;
    this.slots[slot + 1] = hash;
    this.used = end;
    if (++this.count * 4 > this.slots.length) this.rehash();
    return start;
  }

  /** The table's bytes: a leading NUL, then every string with its NUL. */
  get bytes(): Uint8Array {
    return this.store.subarray(0, this.used);
  }

  /** The string at an offset that `add` gave. */
  text(start: number): string {
    let end = start;
    while (this.store[end] !== 0) end++;
    return decoder.decode(this.store.subarray(start, end));
  }

  /** Writes `text` and its NUL behind the used part; returns where it would end. */
  private append(text: string): number {
    const most = this.used + text.length * 3 + 1;
    if (most > 0xffffffff) throw new RangeError('string table exceeds 4 GiB, more than a 32-bit name offset reaches');
    if (most > this.store.length) {
      const grown = new Uint8Array(Math.max(most, this.store.length * 2));
      grown.set(this.bytes);
      this.store = grown;
    }
    let at = this.used;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code === 0) throw new RangeError(`name ${JSON.stringify(text)} holds a NUL`);
      if (code > 0x7f) {
        at = this.used + encoder.encodeInto(text, this.store.subarray(this.used)).written;
        break;
      }
      this.store[at++] = code;
    }
    this.store[at] = 0;
    return at + 1;
  }

  /** FNV-1a over the bytes from `start` to `end`. */
  private hash(start: number, end: number): number {
    let hash = 0x811c9dc5;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ this.store[at]!, 0x01000193);
    return (hash ^ (hash >>> 15)) >>> 0;
  }

  /** Both strings end in a NUL, so equal bytes up to `end` are equal strings. */
  private equal(at: number, start: number, end: number): boolean {
    for (let other = start; other < end; at++, other++) if (this.store[at] !== this.store[other]) return false;
    return true;
  }

  private rehash(): void {
    const old = this.slots;
    this.slots = new Uint32Array(old.length * 2).fill(EMPTY);
    const mask = this.slots.length - 2;
    for (let from = 0; from < old.length; from += 2) {
      if (old[from] === EMPTY) continue;
      let slot = (old[from + 1]! << 1) & mask;
      while (this.slots[slot] !== EMPTY) slot = (slot + 2) & mask;
      this.slots[slot] = old[from]!;
      this.slots[slot + 1] = old[from + 1]!;
    }
  }
}
