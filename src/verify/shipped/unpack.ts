/** Compressed files as the verifier unpacks them: not by Node or the packages that the rest of klpflow does it with. */
import { spawnSync } from 'node:child_process';
import { KlpflowError } from '../../diagnostics';
import { unpackLz4 } from './lz4';

/** No kernel, and no module, is larger. */
export const LARGEST = 512 << 20;

type Unpack = (stream: Uint8Array, size: number | undefined) => Uint8Array | Promise<Uint8Array>;

const FORMATS: ReadonlyArray<readonly [magic: string, unpack: Unpack]> = [
  ['1f8b', unpackGzip],
  ['28b52ffd', unpackZstd],
  ['fd377a585a00', unpackXz],
  ['02214c18', (stream, size) => unpackLz4(stream, size ?? LARGEST)],
];

/**
 * All that a stream holds; `size` where it is known, as that of a kernel within a boot image is. Undefined for bytes that begin in no known way.
 * @throws KlpflowError `malformed-image`
 */
export async function unpacked(stream: Uint8Array, path: string, size?: number): Promise<Uint8Array | undefined> {
  const magic = Buffer.from(stream.subarray(0, 6)).toString('hex');
  const unpack = FORMATS.find(([start]) => magic.startsWith(start))?.[1];
  try {
    return await unpack?.(stream, size);
  } catch (cause) {
    if (cause instanceof KlpflowError) throw new KlpflowError(cause.code, `${path} ${cause.message}`, { object: path });
    throw new KlpflowError('malformed-image', `${path}: what is compressed in it is damaged or cut short`, {
      object: path,
    });
  }
}

/** One member, as kernels and files of one text have. @throws RangeError where its checksum or size is another (RFC 1952, section 2.3.1) */
async function unpackGzip(stream: Uint8Array): Promise<Uint8Array> {
  const { gunzipSync } = await import('fflate');
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  const size = view.getUint32(stream.length - 4, true);
  if (size > LARGEST) throw new RangeError(`it would hold ${size} bytes`);
  const plain = gunzipSync(stream, { out: new Uint8Array(size) });
  if (plain.length !== size || crc32(plain) !== view.getUint32(stream.length - 8, true))
    throw new RangeError('its checksum is another');
  return plain;
}

/** Of ITU-T V.42. */
function crc32(bytes: Uint8Array): number {
  const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) * 0xedb88320);
    return crc;
  });
  let crc = ~0;
  for (let at = 0; at < bytes.length; at++) crc = (crc >>> 8) ^ table[(crc ^ bytes[at]!) & 0xff]!;
  return ~crc >>> 0;
}

let zstd: Promise<typeof import('@bokuweb/zstd-wasm')> | undefined;

async function unpackZstd(stream: Uint8Array, size: number | undefined): Promise<Uint8Array> {
  // Once: initialized again it loses its memory.
  zstd ??= import('@bokuweb/zstd-wasm').then(async (loaded) => {
    await loaded.init();
    return loaded;
  });
  // The room for frames that do not say their size, as those that kbuild makes from a pipe.
  return (await zstd).decompress(stream, { defaultHeapSize: size ?? LARGEST });
}

/** Of the stream's header, the kind of check; behind it, of the first block's, how many filters there are beside LZMA2. */
const [CHECK, BLOCK_FLAGS] = [7, 13];
const SHA256 = 10;

function unpackXz(stream: Uint8Array): Uint8Array | Promise<Uint8Array> {
  // kbuild puts a branch filter in front of LZMA2 (scripts/xz_wrap.sh), modules have none.
  const rare = (stream[BLOCK_FLAGS]! & 3) !== 0 || (stream[CHECK]! & 15) === SHA256;
  return rare ? unpackRareXz(stream) : unpackPlainXz(stream);
}

async function unpackPlainXz(stream: Uint8Array): Promise<Uint8Array> {
  const { XzReadableStream } = await import('xz-decompress');
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of new XzReadableStream(new Blob([stream]).stream())) {
    length += part.length;
    if (length > LARGEST) throw new RangeError(`more than ${LARGEST} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts, length);
}

/** No package but the one of the rest undoes the filter, or knows that check. */
function unpackRareXz(stream: Uint8Array): Uint8Array {
  const { stdout, status, error } = spawnSync('xz', ['-dc', '--single-stream'], { input: stream, maxBuffer: LARGEST });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
    throw new KlpflowError(
      'unusable-image',
      'is compressed by xz with a branch filter, which verify has unpacked by the program xz: install it (xz-utils), or unpack the kernel (scripts/extract-vmlinux of the kernel source)',
    );
  if (status !== 0) throw new RangeError('xz finds it damaged');
  return stdout;
}
