/**
 * A 128-bit digest of bytes and words, in the shape of MurmurHash3_x86_128 (Austin Appleby, public domain).
 *
 * Not cryptographic: it decides between contents of two builds of one kernel, where 128 bits make an accidental match a non-event. A digest is
 * DIGEST bytes of memory: four lanes, then the count of bytes. `finish` leaves the result in the lanes.
 */
import { byteAt, pointer, room } from './file';

export const DIGEST: u32 = 32;

const C1: u32 = 0x239b961b;
const C2: u32 = 0xab0e9789;
const C3: u32 = 0x38b34ae5;
const C4: u32 = 0xa1e38b93;

export function reset(digest: usize, seed: u32): void {
  store<u32>(digest, seed);
  store<u32>(digest, seed, 4);
  store<u32>(digest, seed, 8);
  store<u32>(digest, seed, 12);
  store<u32>(digest, 0, 16);
}

// @ts-ignore: decorator
@inline
function lane1(h1: u32, h2: u32, k: u32): u32 {
  return rotl(h1 ^ (rotl(k * C1, 15) * C2), 19) + h2;
}

/** Mixes four words. Order matters. */
// @ts-ignore: decorator
@inline
export function words(digest: usize, k1: u32, k2: u32, k3: u32, k4: u32): void {
  let h1 = load<u32>(digest),
    h2 = load<u32>(digest, 4),
    h3 = load<u32>(digest, 8),
    h4 = load<u32>(digest, 12);
  h1 = lane1(h1, h2, k1) * 5 + 0x561ccd1b;
  h2 = (rotl(h2 ^ (rotl(k2 * C2, 16) * C3), 17) + h3) * 5 + 0x0bcaa747;
  h3 = (rotl(h3 ^ (rotl(k3 * C3, 17) * C4), 15) + h4) * 5 + 0x96cd1c35;
  h4 = (rotl(h4 ^ (rotl(k4 * C4, 18) * C1), 13) + h1) * 5 + 0x32ac3b17;
  store<u32>(digest, h1);
  store<u32>(digest, h2, 4);
  store<u32>(digest, h3, 8);
  store<u32>(digest, h4, 12);
  store<u32>(digest, load<u32>(digest, 16) + 16, 16);
}

/** Mixes bytes [start, end) of the file and their count. */
export function bytes(digest: usize, start: u32, end: u32): void {
  let at = start;
  while (end - at >= 16) {
    let blocks = min(room(at), end - at) >> 4;
    let from = pointer(at, blocks << 4);
    at += blocks << 4;
    for (; blocks != 0; blocks--, from += 16)
      words(digest, load<u32>(from), load<u32>(from, 4), load<u32>(from, 8), load<u32>(from, 12));
  }
  let k1: u32 = 0,
    k2: u32 = 0,
    k3: u32 = 0,
    k4: u32 = 0;
  for (let i: u32 = 0; at < end; at++, i++) {
    const byte = byteAt(at) << ((i & 3) << 3);
    if (i < 4) k1 |= byte;
    else if (i < 8) k2 |= byte;
    else if (i < 12) k3 |= byte;
    else k4 |= byte;
  }
  words(digest, k1, k2, k3, k4);
  words(digest, end - start, 0, 0, 0);
}

export function finish(digest: usize): void {
  const length = load<u32>(digest, 16);
  let h1 = load<u32>(digest) ^ length,
    h2 = load<u32>(digest, 4) ^ length,
    h3 = load<u32>(digest, 8) ^ length,
    h4 = load<u32>(digest, 12) ^ length;
  h1 += h2 + h3 + h4;
  h2 += h1;
  h3 += h1;
  h4 += h1;
  h1 = avalanche(h1);
  h2 = avalanche(h2);
  h3 = avalanche(h3);
  h4 = avalanche(h4);
  h1 += h2 + h3 + h4;
  store<u32>(digest, h1);
  store<u32>(digest, h2 + h1, 4);
  store<u32>(digest, h3 + h1, 8);
  store<u32>(digest, h4 + h1, 12);
}

function avalanche(h: u32): u32 {
  h = (h ^ (h >>> 16)) * 0x85ebca6b;
  h = (h ^ (h >>> 13)) * 0xc2b2ae35;
  return h ^ (h >>> 16);
}
