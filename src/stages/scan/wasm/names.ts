/**
 * Base names: a symbol's name without what compilers add and renumber.
 *
 * `counter.3` is `counter`, `foo.isra.0.cold` is `foo.isra.cold`, `__UNIQUE_ID_x_694_695` is `__UNIQUE_ID_x`,
 * `helper.llvm.1234` is `helper`. Pointers into memory: see `nameAt`.
 */
import { NEXT, byteAt, pointer, room } from './file';

const DOT: u32 = 0x2e;
const UNDERSCORE: u32 = 0x5f;
const LLVM = '.llvm.';
const UNIQUE_ID = '__UNIQUE_ID_';

/** Seeds of the two hash words; FNV-1a and a multiplicative one, so that they do not fail together. */
const LOW_SEED: u32 = 0x811c9dc5;
const HIGH_SEED: u32 = 0x1b873593;

/** What `read` leaves. */
export let hashLow: u32 = 0;
export let hashHigh: u32 = 0;
/** Where the name ends: its NUL. */
export let end: usize = 0;
/** Whether the name held a `.llvm.` suffix, and a hash of that suffix. */
export let promoted: bool = false;
export let suffix: u32 = 0;
/** Whether a trailing number was left out. */
export let numbered: bool = false;
/** Whether the whole name contains a dot. */
export let dotted: bool = false;

/** Room for one name longer than what a frame is sure to hold. */
export let longName: usize = 0;
/** Its size. The kernel's own limit is 512. */
export const LONGEST: u32 = 0x10000;

/** Pointer to the NUL-terminated name at `offset`; 0 for one of LONGEST bytes or more. The file holds a NUL behind it. */
export function nameAt(offset: u32): usize {
  const near = room(offset);
  const at = pointer(offset, min(near, NEXT));
  const stop = at + near;
  for (let i = at; i < stop; i++) if (load<u8>(i) == 0) return at;
  for (let i: u32 = 0; i < LONGEST; i++) {
    const byte = byteAt(offset + i);
    store<u8>(longName + i, byte);
    if (byte == 0) return longName;
  }
  return 0;
}

/** Takes the NUL-terminated name at `start` apart. `strip` is false for symbols whose names stand as they are (NOTYPE, UNDEF). */
export function read(start: usize, strip: bool): void {
  promoted = numbered = dotted = false;
  suffix = 0;
  let low = LOW_SEED;
  let high = HIGH_SEED;
  let dot: usize = 0;
  let at = start;
  // Most names have nothing to strip: one pass finds the end, a dot and the hash.
  for (let byte = <u32>load<u8>(at); byte != 0; byte = load<u8>(++at)) {
    if (byte == DOT && dot == 0) dot = at;
    low = (low ^ byte) * 0x01000193;
    high = (high + byte) * 0x5bd1e995;
    high ^= high >>> 15;
  }
  end = at;
  dotted = dot != 0;
  if (strip && (dotted || (load<u8>(start) == UNDERSCORE && holds(start, at, UNIQUE_ID)))) stripped(start, at, dotted ? dot : at);
  else {
    hashLow = low ^ (low >>> 13);
    hashHigh = high;
  }
}

/** Leaves out `.llvm.<hash>`, trailing numbers and numbers between dots, and hashes the rest. */
function stripped(start: usize, end: usize, dot: usize): void {
  let stop = end;
  let behind = end;
  for (let at = dot; at < stop; at++) {
    if (load<u8>(at) == DOT && holds(at, end, LLVM)) {
      promoted = true;
      let rest = at + LLVM.length;
      while (rest < end && load<u8>(rest) != DOT) rest++;
      suffix = suffixHash(at + LLVM.length, rest);
      // `foo.llvm.123.cold` is `foo.cold`.
      behind = rest;
      stop = at;
    }
  }
  let last = stop;
  if (behind == end) while (last > start && isCounting(load<u8>(last - 1))) last--;
  if (last > start && last != stop) {
    numbered = true;
    stop = last;
  }
  let low = LOW_SEED;
  let high = HIGH_SEED;
  for (let at = start; at < end; at++) {
    if (at == stop) {
      if (behind == end) break;
      at = behind;
    }
    const byte = <u32>load<u8>(at);
    if (byte == DOT) {
      // `.0` in the middle of `foo.isra.0.cold`: a counter like any other.
      const next = afterNumber(at + 1, at < stop ? stop : end);
      if (next > 0) {
        at = next - 1;
        continue;
      }
    }
    low = (low ^ byte) * 0x01000193;
    high = (high + byte) * 0x5bd1e995;
    high ^= high >>> 15;
  }
  hashLow = low ^ (low >>> 13);
  hashHigh = high;
}

/** Never 0, which stands for no suffix. */
function suffixHash(at: usize, end: usize): u32 {
  let hash: u32 = 0;
  for (; at < end; at++) hash = ((hash ^ load<u8>(at)) * 0x5bd1e995) ^ (hash >>> 13);
  hash ^= hash >>> 15;
  return hash == 0 ? 1 : hash;
}

/** Where the dot is that ends a run of digits starting at `at`, 0 if there is no such run. */
function afterNumber(at: usize, stop: usize): usize {
  const first = at;
  while (at < stop && isDigit(load<u8>(at))) at++;
  return at > first && at < stop && load<u8>(at) == DOT ? at : 0;
}

// @ts-ignore: decorator
@inline
function isDigit(byte: u32): bool {
  return byte >= 0x30 && byte <= 0x39;
}

function isCounting(byte: u32): bool {
  return isDigit(byte) || byte == DOT || byte == UNDERSCORE;
}

/** Whether the text of [at, end) begins with an ASCII string. */
export function holds(at: usize, end: usize, prefix: string): bool {
  if (<i32>(end - at) < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (load<u8>(at + i) != prefix.charCodeAt(i)) return false;
  return true;
}
