/**
 * XXH3-64 with seed 0 and the default secret (Yann Collet's xxHash 0.8, BSD 2-clause), by its published description: the
 * hash that `objtool klp checksum` stores. xxhash-wasm has XXH32 and XXH64 only.
 */

const SECRET = Buffer.from(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c' +
    '3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364' +
    'eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  'hex',
);
const SECRET_VIEW = new DataView(SECRET.buffer, SECRET.byteOffset, SECRET.length);
const secret = (at: number): bigint => SECRET_VIEW.getBigUint64(at, true);

const PRIME32 = [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn] as const;
const PRIME64 = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;
const MIX1 = 0x165667919e3779f9n;
const MIX2 = 0x9fb21c651e98df25n;

const STRIPE = 64;
const STRIPES = (SECRET.length - STRIPE) / 8;
const BLOCK = STRIPE * STRIPES;
const LOW32 = 0xffffffffn;

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

function fold(a: bigint, b: bigint): bigint {
  const product = a * b;
  return u64(product) ^ (product >> 64n);
}

function avalanche(hash: bigint): bigint {
  const mixed = u64((hash ^ (hash >> 37n)) * MIX1);
  return mixed ^ (mixed >> 32n);
}

function avalanche64(hash: bigint): bigint {
  let h = u64((hash ^ (hash >> 33n)) * PRIME64[1]);
  h = u64((h ^ (h >> 29n)) * PRIME64[2]);
  return h ^ (h >> 32n);
}

const rotate = (value: bigint, bits: bigint): bigint => u64(value << bits) | (value >> (64n - bits));

function swap(value: bigint): bigint {
  let swapped = 0n;
  for (let i = 0n; i < 8n; i++) swapped = (swapped << 8n) | ((value >> (8n * i)) & 0xffn);
  return swapped;
}

/** The hash of the first `length` bytes. */
export function xxh3(bytes: Uint8Array, length = bytes.length): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  if (length > 240) return long(view);
  if (length > 16) return medium(view);
  return length > 8
    ? nineToSixteen(view)
    : length > 3
      ? fourToEight(view)
      : length > 0
        ? oneToThree(view)
        : avalanche64(secret(56) ^ secret(64));
}

function oneToThree(view: DataView): bigint {
  const { byteLength } = view;
  const combined =
    ((view.getUint8(0) << 16) |
      (view.getUint8(byteLength >> 1) << 24) |
      view.getUint8(byteLength - 1) |
      (byteLength << 8)) >>>
    0;
  return avalanche64(
    BigInt(combined) ^ BigInt((SECRET_VIEW.getUint32(0, true) ^ SECRET_VIEW.getUint32(4, true)) >>> 0),
  );
}

function fourToEight(view: DataView): bigint {
  const { byteLength } = view;
  const both = BigInt(view.getUint32(byteLength - 4, true)) + (BigInt(view.getUint32(0, true)) << 32n);
  let h = both ^ secret(8) ^ secret(16);
  h = u64((h ^ rotate(h, 49n) ^ rotate(h, 24n)) * MIX2);
  h = u64((h ^ ((h >> 35n) + BigInt(byteLength))) * MIX2);
  return h ^ (h >> 28n);
}

function nineToSixteen(view: DataView): bigint {
  const low = view.getBigUint64(0, true) ^ secret(24) ^ secret(32);
  const high = view.getBigUint64(view.byteLength - 8, true) ^ secret(40) ^ secret(48);
  return avalanche(u64(BigInt(view.byteLength) + swap(low) + high + fold(low, high)));
}

function medium(view: DataView): bigint {
  const { byteLength } = view;
  const mix = (at: number, key: number): bigint =>
    fold(view.getBigUint64(at, true) ^ secret(key), view.getBigUint64(at + 8, true) ^ secret(key + 8));
  let sum = BigInt(byteLength) * PRIME64[0];
  if (byteLength <= 128) {
    for (let i = (byteLength - 1) >> 5; i >= 0; i--)
      sum += mix(16 * i, 32 * i) + mix(byteLength - 16 * (i + 1), 32 * i + 16);
    return avalanche(u64(sum));
  }
  for (let i = 0; i < 8; i++) sum += mix(16 * i, 16 * i);
  sum = avalanche(u64(sum));
  for (let i = 8; i < byteLength >> 4; i++) sum += mix(16 * i, 16 * (i - 8) + 3);
  return avalanche(u64(sum + mix(byteLength - 16, 136 - 17)));
}

function long(view: DataView): bigint {
  const { byteLength } = view;
  const lanes = BigUint64Array.of(
    PRIME32[2],
    PRIME64[0],
    PRIME64[1],
    PRIME64[2],
    PRIME64[3],
    PRIME32[1],
    PRIME64[4],
    PRIME32[0],
  );
  const accumulate = (at: number, key: number): void => {
    for (let i = 0; i < 8; i++) {
      const value = view.getBigUint64(at + 8 * i, true);
      const keyed = value ^ secret(key + 8 * i);
      lanes[i ^ 1]! += value;
      lanes[i]! += (keyed & LOW32) * (keyed >> 32n);
    }
  };
  const blocks = Math.floor((byteLength - 1) / BLOCK);
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < STRIPES; i++) accumulate(block * BLOCK + i * STRIPE, 8 * i);
    for (let i = 0; i < 8; i++)
      lanes[i] = (lanes[i]! ^ (lanes[i]! >> 47n) ^ secret(SECRET.length - STRIPE + 8 * i)) * PRIME32[0];
  }
  const rest = Math.floor((byteLength - 1 - blocks * BLOCK) / STRIPE);
  for (let i = 0; i < rest; i++) accumulate(blocks * BLOCK + i * STRIPE, 8 * i);
  accumulate(byteLength - STRIPE, SECRET.length - STRIPE - 7);
  let sum = BigInt(byteLength) * PRIME64[0];
  for (let i = 0; i < 4; i++)
    sum += fold(lanes[2 * i]! ^ secret(11 + 16 * i), lanes[2 * i + 1]! ^ secret(11 + 16 * i + 8));
  return avalanche(u64(sum));
}
