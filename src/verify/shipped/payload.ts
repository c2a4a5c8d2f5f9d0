import { KlpflowError } from '../../diagnostics';
import { ELF_MAGIC, ElfImage } from '../../elf';
import { MappedFile } from '../../files/mapped-file';
import { isElf } from '../addresses';
import { LARGEST, unpacked } from './unpack';

/**
 * The linked kernel within an x86-64 bzImage, or within a compressed file; undefined for other files, which may be lists of symbols.
 * @throws KlpflowError `malformed-image` for a damaged one, `unusable-image` for a compression that is not read here
 */
export async function linkedWithin(path: string): Promise<ElfImage | undefined> {
  // Files of /proc have no size and cannot be mapped.
  if (path.startsWith('/proc/') || path.startsWith('/sys/')) return undefined;
  const { bytes } = MappedFile.open(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const fail = (why: string): never => {
    throw new KlpflowError('malformed-image', `${path}: ${why}`, { object: path });
  };
  const word = (at: number): number => (at + 4 <= bytes.length ? view.getUint32(at, true) : 0);
  const boot = word(0x202) === 0x53726448; // HdrS
  // `ARM\x64` of arm64's header; `zimg` of its self-unpacking form.
  if (word(0x38) === 0x644d5241 || word(4) === 0x676d697a)
    throw new KlpflowError(
      'unusable-image',
      `${path} is an image of arm64, which verify does not read: pass a copy of /proc/kallsyms or System.map, and the other facts by --symvers and --btf or --template`,
      { object: path },
    );
  let stream = bytes;
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
  if (!isElf(out)) return fail('what it holds is no ELF file');
  return new ElfImage(MappedFile.ofBytes(out, path));
}

async function inflate(
  stream: Uint8Array,
  boot: boolean,
  path: string,
  fail: (why: string) => never,
): Promise<Uint8Array | undefined> {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  if (stream.length < 16) return undefined;
  if (view.getUint32(0) === ELF_MAGIC) return stream;
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
