/**
 * A 128-bit digest of bytes and words, in the shape of MurmurHash3_x86_128 (Austin Appleby, public domain).
 *
 * Not cryptographic: it decides between contents of two builds of one kernel, where 128 bits make an accidental
 * match a non-event. Chosen by measurement: a call into a WebAssembly or native hash costs 0.4 to 6 us a symbol, and a
 * kernel has 150,000 symbols and 600,000 references a side, most of them a few dozen bytes long.
 */
const C1 = 0x239b961b;
const C2 = 0xab0e9789 | 0;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93 | 0;

export class Digest {
  /** The four lanes; `finish` leaves the result here. */
  readonly state = new Int32Array(4);
  private length = 0;

  reset(seed: number): void {
    this.state.fill(seed);
    this.length = 0;
  }

  /** Mixes four words. Order matters. */
  words(k1: number, k2: number, k3: number, k4: number): void {
    const s = this.state;
    let h1 = s[0]!, h2 = s[1]!, h3 = s[2]!, h4 = s[3]!;
    k1 = Math.imul(k1, C1); k1 = (k1 << 15) | (k1 >>> 17); h1 ^= Math.imul(k1, C2);
    h1 = (h1 << 19) | (h1 >>> 13); h1 = (Math.imul(h1 + h2, 5) + 0x561ccd1b) | 0;
    k2 = Math.imul(k2, C2); k2 = (k2 << 16) | (k2 >>> 16); h2 ^= Math.imul(k2, C3);
    h2 = (h2 << 17) | (h2 >>> 15); h2 = (Math.imul(h2 + h3, 5) + 0x0bcaa747) | 0;
    k3 = Math.imul(k3, C3); k3 = (k3 << 17) | (k3 >>> 15); h3 ^= Math.imul(k3, C4);
    h3 = (h3 << 15) | (h3 >>> 17); h3 = (Math.imul(h3 + h4, 5) + 0x96cd1c35) | 0;
    k4 = Math.imul(k4, C4); k4 = (k4 << 18) | (k4 >>> 14); h4 ^= Math.imul(k4, C1);
    h4 = (h4 << 13) | (h4 >>> 19); h4 = (Math.imul(h4 + h1, 5) + 0x32ac3b17) | 0;
    s[0] = h1; s[1] = h2; s[2] = h3; s[3] = h4;
    this.length = (this.length + 16) | 0;
  }

  /** Mixes bytes [start, end) and their count. `words32` is the same memory as 32-bit words, or null where unaligned. */
  bytes(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    for (; at + 16 <= end; at += 16) {
      this.words(
        bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24),
        bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24),
        bytes[at + 8]! | (bytes[at + 9]! << 8) | (bytes[at + 10]! << 16) | (bytes[at + 11]! << 24),
        bytes[at + 12]! | (bytes[at + 13]! << 8) | (bytes[at + 14]! << 16) | (bytes[at + 15]! << 24),
      );
    }
    this.tail(bytes, at, end, end - start);
  }

  /** As `bytes`, over memory that is also visible as words; `start` is a multiple of 4 in them. */
  alignedBytes(words: Uint32Array, bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    for (let word = start >>> 2; at + 16 <= end; at += 16, word += 4) {
      this.words(words[word]!, words[word + 1]!, words[word + 2]!, words[word + 3]!);
    }
    this.tail(bytes, at, end, end - start);
  }

  finish(): Int32Array {
    const s = this.state;
    let h1 = s[0]! ^ this.length, h2 = s[1]! ^ this.length, h3 = s[2]! ^ this.length, h4 = s[3]! ^ this.length;
    h1 = (h1 + h2 + h3 + h4) | 0; h2 = (h2 + h1) | 0; h3 = (h3 + h1) | 0; h4 = (h4 + h1) | 0;
    h1 = avalanche(h1); h2 = avalanche(h2); h3 = avalanche(h3); h4 = avalanche(h4);
    h1 = (h1 + h2 + h3 + h4) | 0;
    s[0] = h1; s[1] = h2 + h1; s[2] = h3 + h1; s[3] = h4 + h1;
    return s;
  }

  private tail(bytes: Uint8Array, at: number, end: number, count: number): void {
    let k1 = 0, k2 = 0, k3 = 0, k4 = 0;
    for (let i = 0; at < end; at++, i++) {
      const byte = bytes[at]! << ((i & 3) << 3);
      if (i < 4) k1 |= byte; else if (i < 8) k2 |= byte; else if (i < 12) k3 |= byte; else k4 |= byte;
    }
    this.words(k1, k2, k3, k4);
    this.words(count, 0, 0, 0);
  }
}

function avalanche(h: number): number {
  h ^= h >>> 16; h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13; h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
