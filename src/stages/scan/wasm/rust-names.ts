/**
 * Rust's v0 names without their disambiguators: `_RNvNvCs..._3drv4polls_4HITS` is the second `HITS` of `drv::poll`, and the first once
 * another block is gone. Such a number is GCC's `.1`: no more than a position. A crate's own (`Cs..._3drv`) is a hash and stays.
 *
 * References back into the name (`B5_`) count its bytes, so they are written as what they would be without those that are left out.
 */

/** The name without numbers goes here; one that is longer stays as it is. */
export let plainName: usize = 0;
export const LONGEST_PLAIN: u32 = 4096;

/** How deep a type may lie in a type; a real kernel's go some ten deep. */
const DEEPEST: u32 = 64;
/** Disambiguators that may be left out of one name: offsets where they began and how many bytes were gone behind them. */
const MOST_GAPS: u32 = 32;

/** Bytes of the two lists of gaps, 4 each. */
export const GAPS: u32 = MOST_GAPS * 8;
export let gaps: usize = 0;

let at: usize = 0;
let end: usize = 0;
let origin: usize = 0;
let out: usize = 0;
let stop: usize = 0;
let gapCount: u32 = 0;
let gone: u32 = 0;
let depth: u32 = 0;
let referred: bool = false;
let failed: bool = false;

/** Whether disambiguators were left out of the last name. */
export let leftOut: bool = false;

/** Writes the name at [start, finish) without disambiguators to `plainName` and returns its length; 0 where nothing of it depends on them, or it is no such name. */
export function withoutDisambiguators(start: usize, finish: usize): u32 {
  if (finish - start >= LONGEST_PLAIN) return 0;
  at = start + 2;
  origin = at;
  end = finish;
  out = plainName;
  stop = plainName + LONGEST_PLAIN;
  gapCount = gone = depth = 0;
  failed = false;
  store<u8>(out, 0x5f);
  store<u8>(out, 0x52, 1);
  out += 2;
  referred = false;
  path();
  // The crate that an instance was made for; a suffix behind a dot stands as it is.
  if (at < end && peek() != 0x2e) path();
  while (at < end && !failed) copy();
  leftOut = gone > 0;
  return failed || (gone == 0 && !referred) ? 0 : <u32>(out - plainName);
}

// @ts-ignore: decorator
@inline
function peek(): u32 {
  return at < end ? load<u8>(at) : 0;
}

function copy(): void {
  if (at >= end || out >= stop) failed = true;
  else store<u8>(out++, load<u8>(at++));
}

function is(byte: u32): bool {
  if (peek() != byte) return false;
  copy();
  return true;
}

function isDigit(byte: u32): bool {
  return byte >= 0x30 && byte <= 0x39;
}

/** Copies digits and letters up to and with the underscore behind them. */
function number(): void {
  while (!failed && peek() != 0x5f) copy();
  copy();
}

/** Leaves out `s<number>_`. */
function disambiguator(): void {
  if (peek() != 0x73) return;
  const from = at;
  while (at < end && load<u8>(at) != 0x5f) at++;
  if (at < end) at++;
  else failed = true;
  if (gapCount == MOST_GAPS) failed = true;
  if (failed) return;
  gone += <u32>(at - from);
  store<u32>(gaps + (gapCount << 3), <u32>(from - origin));
  store<u32>(gaps + (gapCount << 3), gone, 4);
  gapCount++;
}

/** Length, an underscore where the bytes would begin with a digit or one, and the bytes. */
function identifier(): void {
  is(0x75);
  if (!isDigit(peek())) failed = true;
  let length: u32 = 0;
  while (isDigit(peek())) {
    length = length * 10 + peek() - 0x30;
    copy();
    if (length > LONGEST_PLAIN) failed = true;
    if (failed) return;
  }
  is(0x5f);
  for (; length > 0 && !failed; length--) copy();
}

/** `B<number>_`: a place in the name, written with as much less as was left out before it. */
function backReference(): void {
  let place: u64 = 0;
  referred = true;
  at++;
  if (peek() != 0x5f) {
    while (at < end && load<u8>(at) != 0x5f) {
      place = place * 62 + digit(load<u8>(at++));
      if (place > LONGEST_PLAIN) failed = true;
      if (failed) return;
    }
    place++;
  }
  at++;
  if (at > end) failed = true;
  let less: u32 = 0;
  for (let i: u32 = 0; i < gapCount; i++)
    if (load<u32>(gaps + (i << 3)) < <u32>place) less = load<u32>(gaps + (i << 3), 4);
  // In a form of its own: who reads a base name compares it, no more.
  if (out + 3 > stop) failed = true;
  if (failed) return;
  store<u8>(out, 0x42);
  store<u16>(out, <u16>(place - less), 1);
  out += 3;
}

function digit(byte: u32): u64 {
  return isDigit(byte) ? byte - 0x30 : byte >= 0x61 ? byte - 0x61 + 10 : byte - 0x41 + 36;
}

function enter(): bool {
  if (++depth > DEEPEST) failed = true;
  return !failed;
}

function path(): void {
  if (!enter()) return;
  const tag = peek();
  if (tag == 0x42) backReference();
  else {
    copy();
    if (tag == 0x43) {
      if (is(0x73)) number();
      identifier();
    } else if (tag == 0x4d || tag == 0x58) {
      disambiguator();
      path();
      type();
      if (tag == 0x58) path();
    } else if (tag == 0x59) {
      type();
      path();
    } else if (tag == 0x4e) {
      copy();
      path();
      disambiguator();
      identifier();
    } else if (tag == 0x49) {
      path();
      while (!failed && !is(0x45)) argument();
    } else failed = true;
  }
  depth--;
}

function argument(): void {
  if (is(0x4c)) number();
  else if (is(0x4b)) constant();
  else type();
}

function type(): void {
  if (!enter()) return;
  const tag = peek();
  if (tag == 0x42) backReference();
  else if (tag >= 0x61 && tag <= 0x7a) copy();
  else if (tag == 0x41) {
    copy();
    type();
    constant();
  } else if (tag == 0x53 || tag == 0x50 || tag == 0x4f) {
    copy();
    type();
  } else if (tag == 0x52 || tag == 0x51) {
    copy();
    if (is(0x4c)) number();
    type();
  } else if (tag == 0x54) {
    copy();
    while (!failed && !is(0x45)) type();
  } else if (tag == 0x46) signature();
  else if (tag == 0x44) dynamic();
  else path();
  depth--;
}

function signature(): void {
  copy();
  if (is(0x47)) number();
  is(0x55);
  if (is(0x4b) && !is(0x43)) identifier();
  while (!failed && !is(0x45)) type();
  type();
}

function dynamic(): void {
  copy();
  if (is(0x47)) number();
  while (!failed && !is(0x45)) {
    path();
    while (!failed && is(0x70)) {
      identifier();
      type();
    }
  }
  if (is(0x4c)) number();
}

function constant(): void {
  if (is(0x70)) return;
  if (peek() == 0x42) backReference();
  else {
    type();
    is(0x6e);
    number();
  }
}
