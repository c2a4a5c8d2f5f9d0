/** Checks that compressed files have of what they hold. Both are of reflected polynomials, begin with all bits set and end inverted. */

/** CRC-32 of IEEE 802.3. */
export function crc32(bytes: Uint8Array): number {
  const table = (crc32Table ??= tableOf(0xedb88320));
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** CRC-64 of ECMA-182. Halves are kept apart: a BigInt for each byte takes a minute for a kernel. */
export function crc64(bytes: Uint8Array): bigint {
  const { low: lows, high: highs } = (crc64Table ??= halvesOf(0xc96c5795, 0xd7870f42));
  let low = 0xffffffff;
  let high = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) {
    const at = (low ^ bytes[i]!) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ lows[at]!;
    high = (high >>> 8) ^ highs[at]!;
  }
  return (BigInt(~high >>> 0) << 32n) | BigInt(~low >>> 0);
}

/** Adler-32 of RFC 1950. */
export function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (let at = 0; at < bytes.length; ) {
    // So many bytes do not overflow 32 bits.
    for (const end = Math.min(bytes.length, at + 5552); at < end; at++) {
      a += bytes[at]!;
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return ((b << 16) | a) >>> 0;
}

let crc32Table: Int32Array | undefined;
let crc64Table: { low: Int32Array; high: Int32Array } | undefined;

function tableOf(polynomial: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
}

function halvesOf(highBits: number, lowBits: number): { low: Int32Array; high: Int32Array } {
  const [low, high] = [new Int32Array(256), new Int32Array(256)];
  for (let byte = 0; byte < 256; byte++) {
    let [l, h] = [byte, 0];
    for (let bit = 0; bit < 8; bit++) {
      const odd = (l & 1) !== 0;
      l = (l >>> 1) | (h << 31);
      h >>>= 1;
      if (odd) [l, h] = [l ^ lowBits, h ^ highBits];
    }
    low[byte] = l;
    high[byte] = h;
  }
  return { low, high };
}
