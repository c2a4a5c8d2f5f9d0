/** The compressions that Node itself does not read, each by a package that is loaded when it is first met. */
import { lzma1, rawXz } from '../../files/xz';

/** Larger is no kernel: the largest of a distribution has 70 MB. */
export const LARGEST = 512 << 20;

/** WebAssembly, as Node has zstd from 22.15 on only. */
export async function decompressZstd(bytes: Uint8Array, size: number | undefined): Promise<Uint8Array> {
  const stated = size ?? frameSize(bytes);
  const room = stated ?? mostOf(bytes);
  if (room > LARGEST) throw new RangeError(`the frame may hold ${room} bytes`);
  const { ZSTDDecoder } = await import('zstddec');
  const decoder = new ZSTDDecoder();
  await withoutFetch(() => decoder.init());
  const output = decoder.decode(bytes, room);
  const wanted = stated ?? output.length;
  // It has no words for damage.
  if (output.length !== wanted)
    throw new RangeError(`the frame holds ${output.length} bytes, not the ${wanted} that it says`);
  return output;
}

/** zstddec takes its own bytes by `fetch`, where there is one: in Node that loads a whole HTTP client, 60 ms. It looks before it first waits. */
function withoutFetch<T>(start: () => T): T {
  const { fetch } = globalThis;
  try {
    Reflect.deleteProperty(globalThis, 'fetch');
    return start();
  } finally {
    globalThis.fetch = fetch;
  }
}

/** Frame_Content_Size of RFC 8878, section 3.1.1.1: its width stands in the descriptor's first two bits, and a single segment has one at least. */
function frameSize(bytes: Uint8Array): number | undefined {
  if (bytes.length < 18) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const descriptor = bytes[4]!;
  const single = (descriptor & 0x20) !== 0;
  const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  switch (descriptor >>> 6) {
    case 0:
      return single ? bytes[at]! : undefined;
    case 1:
      return view.getUint16(at, true) + 256;
    case 2:
      return view.getUint32(at, true);
    default:
      return Number(view.getBigUint64(at, true));
  }
}

/** Block_Maximum_Size, section 3.1.1.2.3. */
const ZSTD_BLOCK = 128 << 10;

/** What a frame from a pipe, which does not say its size, holds at most: by the headers of its blocks. */
function mostOf(bytes: Uint8Array): number {
  const dictionary = [0, 1, 2, 4][bytes[4]! & 3]!;
  let most = 0;
  for (let at = 6 + dictionary; at + 3 <= bytes.length; ) {
    const header = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
    most += ZSTD_BLOCK;
    if ((header & 1) !== 0) return most;
    // Of one byte that is repeated there is one.
    at += 3 + ((header & 6) === 2 ? 1 : header >>> 3);
  }
  throw new RangeError('the frame ends within a block');
}

/** A block of the legacy form, which `lz4 -l` writes: a u32 length, then at most 8 MiB compressed. */
const LZ4_BLOCK = 8 << 20;

export function decompressLz4(bytes: Uint8Array, size: number | undefined): Uint8Array {
  const { decompressBlock } = require('lz4js') as typeof import('lz4js');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const blocks: Array<[at: number, length: number]> = [];
  for (let at = 4; at + 4 <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length === 0 || length > bytes.length - at - 4) throw new RangeError(`a block of ${length} bytes at ${at}`);
    blocks.push([at + 4, length]);
    at += 4 + length;
  }
  const room = Math.min(size ?? LARGEST, blocks.length * LZ4_BLOCK);
  const output = new Uint8Array(room);
  let end = 0;
  for (const [at, length] of blocks) {
    end = decompressBlock(bytes, output, at, length, end);
    if (end > room) throw new RangeError('the blocks hold more than they may');
  }
  return output.subarray(0, end);
}

export function decompressBzip2(bytes: Uint8Array): Uint8Array {
  const { decode } = require('seek-bzip') as typeof import('seek-bzip');
  return decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
}

export const decompressLzma = lzma1;
export const decompressXz = rawXz;
