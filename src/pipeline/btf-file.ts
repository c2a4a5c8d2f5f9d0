import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { KlpflowError, fileError, notRegular } from '../diagnostics';
import { MappedFile } from '../files/mapped-file';
import { structSizes } from '../kernel/btf';
import { SPECIAL_SECTIONS } from '../kernel/special-sections';

/** BTF and where it is from. */
export interface BtfFile {
  bytes: Uint8Array;
  path: string;
}

/**
 * Kernel types: raw BTF (`/sys/kernel/btf/vmlinux`), or a little-endian or big-endian ELF64 file with a `.BTF` section.
 * @throws KlpflowError `unreadable`, `not-regular-file`, `malformed-elf`, `no-btf`
 */
export function readBtf(path: string): BtfFile {
  const raw = readUnlessElf(path);
  if (raw !== undefined) return { bytes: raw, path };
  const { bytes } = MappedFile.open(path);
  return { bytes: sectionOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), '.BTF', path), path };
}

/** Entry sizes of special sections from kernel types. @throws KlpflowError as `readBtf` */
export function readStructSizes(path: string): Record<string, number> {
  return structSizes(
    readBtf(path).bytes,
    SPECIAL_SECTIONS.map(({ struct }) => struct),
    path,
  );
}

/** The file's content; undefined for ELF, which may be large and is better mapped. Raw BTF is not: sysfs cannot map before Linux 6.16. */
function readUnlessElf(path: string): Buffer | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFile()) throw notRegular(path);
    const magic = Buffer.alloc(4);
    if (readSync(fd, magic, 0, 4, 0) === 4 && magic.readUInt32BE(0) === 0x7f454c46) return undefined;
    return readFileSync(fd);
  } catch (cause) {
    throw fileError(path, cause, 'read');
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The content of a named section of any ELF64 file, linked ones too (which `ElfObject` refuses). */
function sectionOf(file: Buffer, name: string, path: string): Uint8Array {
  try {
    const little = file[5] === 1;
    const u16 = (at: number): number => (little ? file.readUInt16LE(at) : file.readUInt16BE(at));
    const u32 = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
    const u64 = (at: number): number => Number(little ? file.readBigUInt64LE(at) : file.readBigUInt64BE(at));
    const table = u64(40);
    const count = u16(60) || u64(table + 32);
    const namesIndex = u16(62) === 0xffff ? u32(table + 40) : u16(62);
    const names = u64(table + namesIndex * 64 + 24);
    for (let i = 1; i < count; i++) {
      const at = table + i * 64;
      const start = names + u32(at);
      if (file.toString('latin1', start, start + name.length + 1) === `${name}\0`)
        return file.subarray(u64(at + 24), u64(at + 24) + u64(at + 32));
    }
  } catch (cause) {
    throw new KlpflowError(
      'malformed-elf',
      `${path}: its section table lies past the end of the file`,
      { object: path },
      cause,
    );
  }
  throw new KlpflowError('no-btf', `${path} has no ${name} section`, { object: path });
}
