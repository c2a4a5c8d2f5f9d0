/**
 * Base names: a symbol's name without what compilers add and renumber.
 *
 * `counter.3` is `counter`, `foo.isra.0.cold` is `foo.isra.cold`, `__UNIQUE_ID_x_694_695` is `__UNIQUE_ID_x`,
 * `helper.llvm.1234` is `helper`, `__BTF_ID__struct__file__112` is `__BTF_ID__struct__file`. Pointers into memory: see `nameAt`.
 */
import { NEXT, byteAt, pointer, room } from './file';
import { leftOut, plainName, withoutDisambiguators } from './rust-names';

const DOT: u8 = 0x2e;
const UNDERSCORE: u32 = 0x5f;
const LLVM = '.llvm.';
const UNIQUE_ID = '__UNIQUE_ID_';
/** Ends in `__`, `__COUNTER__` and `__LINE__`. */
const BTF_ID = '__BTF_ID__';
const RUST = '_R';

/** MurmurHash64A without the length, which a name without NULs does not need: eight bytes a step, for a kernel's names have 12 MB. */
const SEED: u64 = 0x9e3779b97f4a7c15;
const FACTOR: u64 = 0xc6a4a7935bd1e995;

/** A byte in all places of a word. */
const ONES: u64 = 0x0101010101010101;
const HIGHEST: u64 = 0x8080808080808080;

/** The hash so far. */
let state: u64 = 0;

// @ts-ignore: decorator
@inline
function mix(word: u64): void {
  let next = word * FACTOR;
  next ^= next >> 47;
  state = (state ^ (next * FACTOR)) * FACTOR;
}

function finish(): void {
  let hash = state ^ (state >> 47);
  hash *= FACTOR;
  hash ^= hash >> 47;
  hashLow = <u32>hash;
  hashHigh = <u32>(hash >> 32);
}

/** Where in eight bytes the first NUL is, in bits from the lowest; 64 and more for nowhere. */
// @ts-ignore: decorator
@inline
function firstNul(word: u64): u64 {
  // Bytes above the first NUL may be marked without being one.
  return ctz((word - ONES) & ~word & HIGHEST);
}

/** What `nameAt` and `read` leave. */
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
  // The last word may go past what the frame holds: there is memory behind it, and what is there does not count.
  for (let i = at; i < stop; i += 8) {
    const bits = firstNul(load<u64>(i));
    if (bits >= 64) continue;
    end = i + <usize>(bits >> 3);
    if (end < stop) return at;
  }
  for (let i: u32 = 0; i < LONGEST; i++) {
    const byte = byteAt(offset + i);
    store<u8>(longName + i, byte);
    if (byte != 0) continue;
    end = longName + i;
    return longName;
  }
  return 0;
}

/** Takes the name that `nameAt` found at `start` apart. `strip` is false for symbols whose names stand as they are (NOTYPE, UNDEF). */
export function read(start: usize, strip: bool): void {
  promoted = numbered = false;
  suffix = 0;
  state = SEED;
  let dot: usize = 0;
  // Most names have nothing to strip: one pass finds a dot and the hash.
  for (let at = start; at < end; at += 8) {
    let word = load<u64>(at);
    if (end - at < 8) word &= (1 << ((<u64>(end - at)) << 3)) - 1;
    if (dot == 0) {
      const bits = firstNul(word ^ (ONES * DOT));
      if (bits < 64) dot = at + <usize>(bits >> 3);
    }
    mix(word);
  }
  dotted = dot != 0;
  if (!strip) finish();
  else if (load<u8>(start) == UNDERSCORE && end - start > 2) underscored(start, dot);
  else if (dotted) stripped(start, end, dot);
  else finish();
}

/** Hashes the `length` bytes that the thread put at `longName`, for `nextNamed`. Returns the low half. */
export function openName(length: u32): u32 {
  end = longName + length;
  read(longName, true);
  return hashLow;
}

/** A name that begins with an underscore: what macros paste, and Rust's. */
function underscored(start: usize, dot: usize): void {
  if (holds(start, end, RUST)) {
    const length = withoutDisambiguators(start, end);
    if (length > 0) {
      if (dotted) stripped(plainName, plainName + length, plainName + length - (end - dot));
      else rehash(plainName, plainName + length);
      numbered = numbered || leftOut;
      return;
    }
  } else if (!dotted && holds(start, end, BTF_ID)) {
    let last = end;
    while (isDigit(load<u8>(last - 1))) last--;
    if (last < end && load<u8>(last - 1) == UNDERSCORE && load<u8>(last - 2) == UNDERSCORE) {
      numbered = true;
      rehash(start, last - 2);
      return;
    }
  } else if (holds(start, end, UNIQUE_ID)) {
    stripped(start, end, dotted ? dot : end);
    return;
  }
  if (dotted) stripped(start, end, dot);
  else finish();
}

function rehash(start: usize, stop: usize): void {
  state = SEED;
  for (let at = start; at < stop; at += 8) {
    let word = load<u64>(at);
    if (stop - at < 8) word &= (1 << ((<u64>(stop - at)) << 3)) - 1;
    mix(word);
  }
  finish();
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
  state = SEED;
  let word: u64 = 0;
  let bits: u64 = 0;
  for (let at = start; at < end; at++) {
    if (at == stop) {
      if (behind == end) break;
      at = behind;
    }
    const byte = load<u8>(at);
    if (byte == DOT) {
      // `.0` in the middle of `foo.isra.0.cold`: a counter like any other.
      const next = afterNumber(at + 1, at < stop ? stop : end);
      if (next > 0) {
        at = next - 1;
        continue;
      }
    }
    word |= (<u64>byte) << bits;
    bits += 8;
    if (bits < 64) continue;
    mix(word);
    word = bits = 0;
  }
  if (bits != 0) mix(word);
  finish();
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
