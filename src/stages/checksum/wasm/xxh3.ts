/**
 * XXH3-64 with seed 0 and the default secret (Yann Collet's xxHash 0.8, BSD 2-clause), by its published description: the
 * hash that `objtool klp checksum` stores. xxhash-wasm has XXH32 and XXH64 only.
 */

// biome-ignore format: as it is published
const SECRET = memory.data<u8>([
  0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
  0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
  0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
  0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
  0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
  0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
  0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
  0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
  0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
  0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
  0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
  0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
]);
const SECRET_BYTES: u32 = 192;

const PRIME32_1: u64 = 0x9e3779b1;
const PRIME32_2: u64 = 0x85ebca77;
const PRIME32_3: u64 = 0xc2b2ae3d;
const PRIME64_1: u64 = 0x9e3779b185ebca87;
const PRIME64_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME64_3: u64 = 0x165667b19e3779f9;
const PRIME64_4: u64 = 0x85ebca77c2b2ae63;
const PRIME64_5: u64 = 0x27d4eb2f165667c5;
const MIX1: u64 = 0x165667919e3779f9;
const MIX2: u64 = 0x9fb21c651e98df25;

const STRIPE: u32 = 64;
const STRIPES: u32 = (SECRET_BYTES - STRIPE) / 8;
const BLOCK: u32 = STRIPE * STRIPES;

// @ts-ignore: decorator
@inline
function secret(at: u32): u64 {
  return load<u64>(SECRET + at);
}

/** The halves of the 128-bit product, one over the other. */
// @ts-ignore: decorator
@inline
function fold(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const low = aLow * bLow;
  const cross = aHigh * bLow + (low >> 32);
  const middle = aLow * bHigh + (cross & 0xffffffff);
  const high = aHigh * bHigh + (cross >> 32) + (middle >> 32);
  return ((middle << 32) | (low & 0xffffffff)) ^ high;
}

function avalanche(hash: u64): u64 {
  const mixed = (hash ^ (hash >> 37)) * MIX1;
  return mixed ^ (mixed >> 32);
}

function avalanche64(hash: u64): u64 {
  let h = (hash ^ (hash >> 33)) * PRIME64_2;
  h = (h ^ (h >> 29)) * PRIME64_3;
  return h ^ (h >> 32);
}

/** The hash of `length` bytes. */
export function xxh3(at: usize, length: u32): u64 {
  if (length > 240) return long(at, length);
  if (length > 16) return medium(at, length);
  if (length > 8) {
    const low = load<u64>(at) ^ secret(24) ^ secret(32);
    const high = load<u64>(at + length - 8) ^ secret(40) ^ secret(48);
    return avalanche(<u64>length + bswap(low) + high + fold(low, high));
  }
  if (length > 3) {
    const both = <u64>load<u32>(at + length - 4) + ((<u64>load<u32>(at)) << 32);
    let h = both ^ secret(8) ^ secret(16);
    h = (h ^ rotl(h, 49) ^ rotl(h, 24)) * MIX2;
    h = (h ^ ((h >> 35) + length)) * MIX2;
    return h ^ (h >> 28);
  }
  if (length == 0) return avalanche64(secret(56) ^ secret(64));
  const combined =
    ((<u32>load<u8>(at)) << 16) |
    ((<u32>load<u8>(at + (length >> 1))) << 24) |
    load<u8>(at + length - 1) |
    (length << 8);
  return avalanche64(<u64>combined ^ <u64>(load<u32>(SECRET) ^ load<u32>(SECRET, 4)));
}

// @ts-ignore: decorator
@inline
function mix(at: usize, key: u32): u64 {
  return fold(load<u64>(at) ^ secret(key), load<u64>(at, 8) ^ secret(key + 8));
}

function medium(at: usize, length: u32): u64 {
  let sum = <u64>length * PRIME64_1;
  if (length <= 128) {
    for (let i: i32 = (<i32>length - 1) >> 5; i >= 0; i--)
      sum += mix(at + 16 * i, 32 * i) + mix(at + length - 16 * (i + 1), 32 * i + 16);
    return avalanche(sum);
  }
  for (let i: u32 = 0; i < 8; i++) sum += mix(at + 16 * i, 16 * i);
  sum = avalanche(sum);
  for (let i: u32 = 8; i < length >> 4; i++) sum += mix(at + 16 * i, 16 * (i - 8) + 3);
  return avalanche(sum + mix(at + length - 16, 136 - 17));
}

let lane0: u64 = 0;
let lane1: u64 = 0;
let lane2: u64 = 0;
let lane3: u64 = 0;
let lane4: u64 = 0;
let lane5: u64 = 0;
let lane6: u64 = 0;
let lane7: u64 = 0;

// @ts-ignore: decorator
@inline
function product(value: u64, key: u64): u64 {
  const keyed = value ^ key;
  return (keyed & 0xffffffff) * (keyed >> 32);
}

/** Adds `count` stripes, one behind the other, with keys from `key` on. */
function accumulate(from: usize, count: u32, key: u32): void {
  let a0 = lane0;
  let a1 = lane1;
  let a2 = lane2;
  let a3 = lane3;
  let a4 = lane4;
  let a5 = lane5;
  let a6 = lane6;
  let a7 = lane7;
  for (let i: u32 = 0; i < count; i++, from += STRIPE, key += 8) {
    const v0 = load<u64>(from);
    const v1 = load<u64>(from, 8);
    const v2 = load<u64>(from, 16);
    const v3 = load<u64>(from, 24);
    const v4 = load<u64>(from, 32);
    const v5 = load<u64>(from, 40);
    const v6 = load<u64>(from, 48);
    const v7 = load<u64>(from, 56);
    a0 += v1 + product(v0, secret(key));
    a1 += v0 + product(v1, secret(key + 8));
    a2 += v3 + product(v2, secret(key + 16));
    a3 += v2 + product(v3, secret(key + 24));
    a4 += v5 + product(v4, secret(key + 32));
    a5 += v4 + product(v5, secret(key + 40));
    a6 += v7 + product(v6, secret(key + 48));
    a7 += v6 + product(v7, secret(key + 56));
  }
  lane0 = a0;
  lane1 = a1;
  lane2 = a2;
  lane3 = a3;
  lane4 = a4;
  lane5 = a5;
  lane6 = a6;
  lane7 = a7;
}

// @ts-ignore: decorator
@inline
function scrambled(lane: u64, number: u32): u64 {
  return (lane ^ (lane >> 47) ^ secret(SECRET_BYTES - STRIPE + 8 * number)) * PRIME32_1;
}

function long(at: usize, length: u32): u64 {
  lane0 = PRIME32_3;
  lane1 = PRIME64_1;
  lane2 = PRIME64_2;
  lane3 = PRIME64_3;
  lane4 = PRIME64_4;
  lane5 = PRIME32_2;
  lane6 = PRIME64_5;
  lane7 = PRIME32_1;
  const blocks = (length - 1) / BLOCK;
  for (let block: u32 = 0; block < blocks; block++) {
    accumulate(at + block * BLOCK, STRIPES, 0);
    lane0 = scrambled(lane0, 0);
    lane1 = scrambled(lane1, 1);
    lane2 = scrambled(lane2, 2);
    lane3 = scrambled(lane3, 3);
    lane4 = scrambled(lane4, 4);
    lane5 = scrambled(lane5, 5);
    lane6 = scrambled(lane6, 6);
    lane7 = scrambled(lane7, 7);
  }
  accumulate(at + blocks * BLOCK, (length - 1 - blocks * BLOCK) / STRIPE, 0);
  accumulate(at + length - STRIPE, 1, SECRET_BYTES - STRIPE - 7);
  let sum = <u64>length * PRIME64_1;
  sum += fold(lane0 ^ secret(11), lane1 ^ secret(19));
  sum += fold(lane2 ^ secret(27), lane3 ^ secret(35));
  sum += fold(lane4 ^ secret(43), lane5 ^ secret(51));
  sum += fold(lane6 ^ secret(59), lane7 ^ secret(67));
  return avalanche(sum);
}
