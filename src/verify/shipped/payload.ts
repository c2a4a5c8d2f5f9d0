import { KlpflowError } from '../../diagnostics';
import { ELF_MAGIC, ElfImage } from '../../elf';
import { MappedFile } from '../../files/mapped-file';
import { isElf } from '../addresses';
import { LinkedBytes } from './linked-bytes';
import { LARGEST, unpacked } from './unpack';

/**
 * The linked kernel within an x86-64 bzImage, an image of arm64, or a compressed file; undefined for other files, which may be lists of symbols, and for one with a symbol table of its own.
 * @throws KlpflowError `malformed-image` for a damaged one, `unusable-image` for a compression that is not read here
 */
export async function linkedWithin(path: string): Promise<LinkedBytes | undefined> {
  // Files of /proc have no size and cannot be mapped.
  if (path.startsWith('/proc/') || path.startsWith('/sys/')) return undefined;
  const { bytes } = MappedFile.open(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const fail = (why: string): never => {
    throw new KlpflowError('malformed-image', `${path}: ${why}`, { object: path });
  };
  const word = (at: number): number => (at + 4 <= bytes.length ? view.getUint32(at, true) : 0);
  const boot = word(0x202) === 0x53726448; // HdrS
  let stream = bytes;
  // arm64's form that unpacks itself (drivers/firmware/efi/libstub/zboot-header.S): where the stream lies, and how long it is.
  if (word(4) === 0x676d697a) {
    const [from, length] = [word(8), word(12)];
    if (length < 8 || from + length > bytes.length) fail('its kernel does not lie within the file: it is cut short');
    stream = bytes.subarray(from, from + length);
  }
  if (boot) {
    // Behind the boot sectors, where the header says; the last word is the size of what comes out.
    const from = ((bytes[0x1f1]! || 4) + 1) * 512 + word(0x248);
    const length = word(0x24c);
    if (length < 8 || from + length > bytes.length) fail('its kernel does not lie within the file: it is cut short');
    stream = bytes.subarray(from, from + length);
    const next = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf('HdrS', from + length, 'latin1');
    // A signature may hold these letters, too; before a header's stands 0xaa55.
    if (next > 0 && view.getUint16(next - 4, true) === 0xaa55)
      throw new KlpflowError('unusable-image', `${path} has a second boot header: two kernels lie in one file`, {
        object: path,
      });
  }
  const out = await inflate(stream, boot, path, fail);
  if (out === undefined) return undefined;
  if (isRawArm64(out)) return LinkedBytes.ofRaw(out, path);
  if (!isElf(out)) return fail('what it holds is neither an ELF file nor an image of arm64');
  const elf = new ElfImage(MappedFile.ofBytes(out, path));
  return elf.symbolCount > 1 ? undefined : LinkedBytes.ofElf(elf);
}

/** `ARM\x64` in the header that boot loaders read; the form that unpacks itself has it, too. */
function isRawArm64(bytes: Uint8Array): boolean {
  if (bytes.length < 64) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return view.getUint32(0x38, true) === 0x644d5241 && view.getUint32(4, true) !== 0x676d697a;
}

async function inflate(
  stream: Uint8Array,
  boot: boolean,
  path: string,
  fail: (why: string) => never,
): Promise<Uint8Array | undefined> {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  if (stream.length < 16) return undefined;
  if (view.getUint32(0) === ELF_MAGIC || isRawArm64(stream)) return stream;
  const size = boot ? view.getUint32(stream.length - 4, true) : undefined;
  if (size !== undefined && size > LARGEST) fail(`it would hold ${size} bytes`);
  // gzip's own end is that size.
  const gzip = view.getUint16(0) === 0x1f8b;
  const out = await unpacked(boot && !gzip ? stream.subarray(0, -4) : stream, path, size);
  if (out === undefined && boot)
    throw new KlpflowError(
      'unusable-image',
      `${path}: verify reads kernels compressed by gzip, zstd, xz and LZ4: unpack this one (scripts/extract-vmlinux of the kernel source)`,
      { object: path },
    );
  if (out !== undefined && size !== undefined && out.length !== size)
    fail(`its kernel has ${out.length} bytes, not ${size}`);
  return out;
}
