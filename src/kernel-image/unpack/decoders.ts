import { gunzipSync } from 'node:zlib';
import { LARGEST, decompressBzip2, decompressLz4, decompressLzma, decompressXz, decompressZstd } from './codecs';
import { decompressLzop } from './lzop';

/** A compression that kernels, or the files that they are shipped in, have. */
export interface Decoder {
  name: string;
  magic: readonly number[];
  /** Whether kbuild appends the size behind the stream (`size_append`); gzip ends in it by itself. */
  sized: boolean;
  /** All that the stream holds; `size` where it is known. Throws whatever the codec throws, for a damaged stream. */
  decode: (bytes: Uint8Array, size: number | undefined) => Uint8Array | Promise<Uint8Array>;
}

/** By the bytes that they begin with (scripts/extract-vmlinux knows the same; lib/decompress.c for those of the kernel itself). */
const DECODERS: readonly Decoder[] = [
  {
    name: 'gzip',
    magic: [0x1f, 0x8b],
    sized: false,
    decode: (bytes) => gunzipSync(bytes, { maxOutputLength: LARGEST }),
  },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], sized: true, decode: decompressZstd },
  { name: 'lz4', magic: [0x02, 0x21, 0x4c, 0x18], sized: true, decode: decompressLz4 },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], sized: true, decode: decompressXz },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68], sized: true, decode: decompressBzip2 },
  {
    name: 'lzo',
    magic: [0x89, 0x4c, 0x5a, 0x4f],
    sized: true,
    decode: (bytes, size) => decompressLzop(bytes, size, LARGEST),
  },
  { name: 'lzma', magic: [0x5d, 0x00, 0x00], sized: true, decode: decompressLzma },
];

export function startsWith(bytes: Uint8Array, magic: readonly number[], at = 0): boolean {
  return magic.every((byte, i) => bytes[at + i] === byte);
}

export function decoderOf(bytes: Uint8Array): Decoder | undefined {
  return DECODERS.find(({ magic }) => startsWith(bytes, magic));
}
