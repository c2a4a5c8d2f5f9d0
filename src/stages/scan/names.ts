/**
 * Base names: a symbol's name without what compilers add and renumber.
 *
 * `counter.3` is `counter`, `foo.isra.0.cold` is `foo.isra.cold`, `__UNIQUE_ID_x_694_695` is `__UNIQUE_ID_x`,
 * `helper.llvm.1234` is `helper`. Works on the bytes of the mapped string table: a kernel has 200,000 names and a
 * JavaScript string for each would cost more than the whole scan.
 */
const DOT = 0x2e;
const UNDERSCORE = 0x5f;
const LLVM = bytesOf('.llvm.');
const UNIQUE_ID = bytesOf('__UNIQUE_ID_');

/** Seeds and steps of the two hash words; FNV-1a and a multiplicative one, so that they do not fail together. */
const LOW_SEED = 0x811c9dc5 | 0;
const HIGH_SEED = 0x1b873593 | 0;

/** Result of the last `read`: a name costs no allocation. */
export class BaseName {
  hashLow = 0;
  hashHigh = 0;
  /** Where the name ends: the offset of its NUL. */
  end = 0;
  /** Whether the name held a `.llvm.` suffix, and a hash of that suffix. */
  promoted = false;
  suffix = 0;
  /** Whether a trailing number was left out. */
  numbered = false;
  /** Whether the whole name contains a dot. */
  dotted = false;

  /** Takes the NUL-terminated name at `start` apart. `strip` is false for symbols whose names stand as they are (NOTYPE, UNDEF). */
  read(bytes: Uint8Array, start: number, strip: boolean): void {
    this.promoted = this.numbered = this.dotted = false;
    this.suffix = 0;
    let low = LOW_SEED;
    let high = HIGH_SEED;
    let dot = -1;
    let at = start;
    // Most names have nothing to strip: one pass finds the end, a dot and the hash.
    for (let byte = bytes[at]!; byte !== 0; byte = bytes[++at]!) {
      if (byte === DOT && dot < 0) dot = at;
      low = Math.imul(low ^ byte, 0x01000193);
      high = Math.imul(high + byte, 0x5bd1e995);
      high ^= high >>> 15;
    }
    this.end = at;
    this.dotted = dot >= 0;
    if (strip && (dot >= 0 || (bytes[start] === UNDERSCORE && startsWith(bytes, start, at, UNIQUE_ID)))) this.strip(bytes, start, at, dot < 0 ? at : dot);
    else {
      this.hashLow = low ^ (low >>> 13);
      this.hashHigh = high;
    }
  }

  /** Leaves out `.llvm.<hash>`, trailing numbers and numbers between dots, and hashes the rest. */
  private strip(bytes: Uint8Array, start: number, end: number, dot: number): void {
    let stop = end;
    let behind = end;
    for (let at = dot; at < stop; at++) {
      if (bytes[at] === DOT && startsWith(bytes, at, end, LLVM)) {
        this.promoted = true;
        let rest = at + LLVM.length;
        while (rest < end && bytes[rest] !== DOT) rest++;
        this.suffix = suffixHash(bytes, at + LLVM.length, rest);
        // `foo.llvm.123.cold` is `foo.cold`.
        behind = rest;
        stop = at;
      }
    }
    let last = stop;
    if (behind === end) while (last > start && isCounting(bytes[last - 1]!)) last--;
    if (last > start && last !== stop) {
      this.numbered = true;
      stop = last;
    }
    let low = LOW_SEED;
    let high = HIGH_SEED;
    for (let at = start; at < end; at++) {
      if (at === stop) {
        if (behind === end) break;
        at = behind;
      }
      const byte = bytes[at]!;
      if (byte === DOT) {
        // `.0` in the middle of `foo.isra.0.cold`: a counter like any other.
        const next = afterNumber(bytes, at + 1, at < stop ? stop : end);
        if (next > 0) {
          at = next - 1;
          continue;
        }
      }
      low = Math.imul(low ^ byte, 0x01000193);
      high = Math.imul(high + byte, 0x5bd1e995);
      high ^= high >>> 15;
    }
    this.hashLow = low ^ (low >>> 13);
    this.hashHigh = high;
  }
}

/** Never 0, which stands for no suffix. */
function suffixHash(bytes: Uint8Array, at: number, end: number): number {
  let hash = 0;
  for (; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x5bd1e995) ^ (hash >>> 13);
  return (hash ^ (hash >>> 15)) >>> 0 || 1;
}

/** Position of the dot that ends a run of digits starting at `at`, 0 if there is no such run. */
function afterNumber(bytes: Uint8Array, at: number, stop: number): number {
  const first = at;
  while (at < stop && bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at++;
  return at > first && at < stop && bytes[at] === DOT ? at : 0;
}

function isCounting(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || byte === DOT || byte === UNDERSCORE;
}

export function startsWith(bytes: Uint8Array, at: number, end: number, prefix: Uint8Array): boolean {
  if (end - at < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}

export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}
