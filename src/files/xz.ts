import { createHash } from 'node:crypto';
import { crc32, crc64 } from './crc';
import { undoBranches } from './xz-branches';

/** `xz --format=lzma`: a header of 13 bytes, then one stream. */
export function lzma1(bytes: Uint8Array): Uint8Array {
  return codec().lzma.decompressSync(bytes);
}

/** A binary, loaded where it is needed. */
function codec(): typeof import('@napi-rs/lzma') {
  return require('@napi-rs/lzma') as typeof import('@napi-rs/lzma');
}

const HEADER = 12;
const LZMA2 = 0x21;
/** Bytes of a block's check, by the low four bits of the stream's second flag (the .xz file format, section 2.1.1.2). */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

/**
 * An .xz stream. kbuild puts a branch filter in front of LZMA2 (scripts/xz_wrap.sh: `--x86 --lzma2=...`), which no package for
 * Node 20 undoes: the container is read here, LZMA2 itself by the package. What comes out must be what the check of each block says, which who
 * compressed it made: a mistake here cannot pass for the kernel, and so the verifier may use this, too.
 */
export function rawXz(bytes: Uint8Array): Uint8Array {
  const { lzma2 } = codec();
  const kind = bytes[7]! & 0xf;
  const check = CHECK_BYTES[kind]!;
  const parts: Uint8Array[] = [];
  for (let at = HEADER; bytes[at] !== 0; ) {
    const { filters, end } = blockHeader(bytes, at);
    if (filters.pop() !== LZMA2) throw new RangeError('a block whose last filter is not LZMA2');
    const stop = lzma2End(bytes, end);
    const block = lzma2.decompressSync(bytes.subarray(end, stop));
    for (const filter of filters.reverse()) undoBranches(filter, block);
    const behind = stop + ((4 - ((stop - HEADER) & 3)) & 3);
    if (!isWhole(kind, block, bytes.subarray(behind, behind + check)))
      throw new RangeError('a block that is not what its check says');
    parts.push(block);
    at = behind + check;
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** CRC-32, CRC-64 and SHA-256 are all that the format defines; of another nothing is known. */
function isWhole(kind: number, block: Uint8Array, check: Uint8Array): boolean {
  if (check.length !== CHECK_BYTES[kind]) return false;
  const stated = Buffer.from(check);
  if (kind === 1) return crc32(block) === stated.readUInt32LE();
  if (kind === 4) return crc64(block) === stated.readBigUInt64LE();
  return kind !== 10 || createHash('sha256').update(block).digest().equals(stated);
}

/** Filters of a block by id, and where its header ends. Sizes that it states are left aside. */
function blockHeader(bytes: Uint8Array, at: number): { filters: number[]; end: number } {
  const end = at + (bytes[at]! + 1) * 4;
  if (!(end <= bytes.length)) throw new RangeError('the stream ends within a block');
  const flags = bytes[at + 1]!;
  let next = at + 2;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[next++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
      if (shift > 42 || next >= end) throw new RangeError('a number that does not end');
    }
  };
  if ((flags & 0x40) !== 0) number();
  if ((flags & 0x80) !== 0) number();
  const filters: number[] = [];
  for (let left = (flags & 3) + 1; left > 0; left--) {
    filters.push(number());
    const properties = number();
    next += properties;
    if (next > end) throw new RangeError('filters reach beyond the header of their block');
  }
  return { filters, end };
}

/** Behind the chunk that ends LZMA2 data: 0. Others are 1 or 2 and bytes as they are, or from 0x80 on compressed; sizes are big-endian, less one. */
function lzma2End(bytes: Uint8Array, at: number): number {
  while (at < bytes.length) {
    const control = bytes[at]!;
    if (control === 0) return at + 1;
    if (control < 0x80) at += 3 + ((bytes[at + 1]! << 8) | bytes[at + 2]!) + 1;
    else at += (control >= 0xc0 ? 6 : 5) + ((bytes[at + 3]! << 8) | bytes[at + 4]!) + 1;
  }
  throw new RangeError('the stream ends within a block');
}
