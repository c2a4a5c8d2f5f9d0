import { adler32, crc32 } from '../../files/crc';
import { decompressLzo1x } from './lzo';

/** Bytes before the version: `\x89LZO\0\r\n\x1a\n`. */
const MAGIC = 9;
/** From this version on a file says which version reads it, how hard it was compressed, and its time has 64 bits. */
const VERSION_0_94 = 0x0940;

/** Flags of a file (lzop 1.04, doc/): checks of blocks as they were and as they are, a filter, a further field. */
const ADLER32_PLAIN = 0x1;
const ADLER32_PACKED = 0x2;
const EXTRA_FIELD = 0x40;
const CRC32_PLAIN = 0x100;
const CRC32_PACKED = 0x200;
const FILTER = 0x800;

/** A file of lzop, which compresses kernels with CONFIG_KERNEL_LZO (lib/decompress_unlzo.c reads it): a header, then blocks. */
export function decompressLzop(bytes: Uint8Array, size: number | undefined, largest: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { flags, end } = readHeader(bytes, view);
  const blocks: Uint8Array[] = [];
  let total = 0;
  for (let at = end; ; ) {
    const plain = view.getUint32(at);
    if (plain === 0) break;
    const packed = view.getUint32(at + 4);
    at += 8;
    const checks = [flags & ADLER32_PLAIN, flags & CRC32_PLAIN].map((flag) =>
      flag === 0 ? null : view.getUint32((at += 4) - 4),
    );
    if (packed < plain) at += 4 * ((flags & ADLER32_PACKED ? 1 : 0) + (flags & CRC32_PACKED ? 1 : 0));
    total += plain;
    if (packed > plain || packed > bytes.length - at || total > (size ?? largest))
      throw new RangeError(`a block of ${packed} bytes that holds ${plain}, at ${at}`);
    const stream = bytes.subarray(at, at + packed);
    const block = packed === plain ? stream : decompressLzo1x(stream, plain);
    const [adler, crc] = checks;
    if ((adler !== null && adler32(block) !== adler) || (crc !== null && crc32(block) !== crc))
      throw new RangeError(`a block that is not what its check says, at ${at}`);
    blocks.push(block);
    at += packed;
  }
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks);
}

function readHeader(bytes: Uint8Array, view: DataView): { flags: number; end: number } {
  const isLater = view.getUint16(MAGIC) >= VERSION_0_94;
  // Version of the program, of its library, and of what reads it; method; level.
  let at = MAGIC + (isLater ? 8 : 5);
  const flags = view.getUint32(at);
  at += 4;
  if ((flags & FILTER) !== 0) throw new RangeError('a filter');
  // Mode and time; name; check.
  at += isLater ? 12 : 8;
  at += 1 + view.getUint8(at) + 4;
  if ((flags & EXTRA_FIELD) !== 0) at += 8 + view.getUint32(at);
  if (at > bytes.length) throw new RangeError('the stream ends within its header');
  return { flags, end: at };
}
