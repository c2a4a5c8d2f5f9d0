import { KlpflowError } from '../diagnostics';
import { ET_REL, ElfImage, ElfObject } from '../elf';
import { MappedFile } from '../files/mapped-file';
import { readWhole } from '../files/whole-file';
import { isElf } from './addresses';

export interface StructLayout {
  /** Bytes. */
  size: number;
  /** Bytes from the struct's start, by member. */
  members: ReadonlyMap<string, number>;
}

export type KernelTypes = ReadonlyMap<string, StructLayout>;

/** Bytes behind a BTF type's 12-byte head, by kind: fixed, or for each of its vlen members (include/uapi/linux/btf.h). */
const FIXED: Readonly<Record<number, number>> = { 1: 4, 3: 12, 14: 4, 17: 4 };
const EACH: Readonly<Record<number, number>> = { 4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12 };
const KIND_STRUCT = 4;

/**
 * Layouts of the named structs from raw BTF (`/sys/kernel/btf/vmlinux`) or an ELF file with `.BTF`.
 * @throws KlpflowError `unreadable`, `malformed-elf`, `no-btf`
 */
export function readTypes(path: string, names: readonly string[]): KernelTypes {
  const bytes = readWhole(path);
  if (!isElf(bytes)) return parseTypes(bytes, names, path);
  const file = MappedFile.open(path);
  const elf = bytes[16] === ET_REL ? new ElfObject(file) : new ElfImage(file);
  for (let section = 1; section < elf.sectionCount; section++)
    if (elf.name(section) === '.BTF') return parseTypes(elf.content(section), names, path);
  throw new KlpflowError('no-btf', `${path} has no .BTF section`, { object: path });
}

/** Layouts of the named structs from raw BTF; `path` is what messages call it. @throws KlpflowError `malformed-elf` */
export function parseTypes(btf: Uint8Array, names: readonly string[], path: string): KernelTypes {
  const fail = (offset: number, expected: string): never => {
    throw new KlpflowError('malformed-elf', `${path}: BTF at ${offset}: ${expected}`, { object: path, offset });
  };
  const view = new DataView(btf.buffer, btf.byteOffset, btf.length);
  if (btf.length < 24 || view.getUint16(0, true) !== 0xeb9f) fail(0, 'no BTF header');
  const u32 = (at: number): number => view.getUint32(at, true);
  const base = u32(4);
  const start = base + u32(8);
  const end = start + u32(12);
  const strings = base + u32(16);
  const stringsEnd = strings + u32(20);
  if (end > btf.length || stringsEnd > btf.length) fail(8, 'types or strings lie past the end');
  const name = (offset: number): string => {
    let stop = strings + offset;
    while (stop < stringsEnd && btf[stop] !== 0) stop++;
    return Buffer.from(btf.subarray(Math.min(strings + offset, stop), stop)).toString('latin1');
  };
  const wanted = new Set(names);
  const found = new Map<string, StructLayout>();
  for (let at = start; at + 12 <= end; ) {
    const info = u32(at + 4);
    const kind = (info >>> 24) & 0x1f;
    const count = info & 0xffff;
    const next = at + 12 + (FIXED[kind] ?? 0) + (EACH[kind] ?? 0) * count;
    if (next > end) fail(at, 'a type ends past the end');
    if (kind === KIND_STRUCT && wanted.has(name(u32(at)))) {
      const members = new Map<string, number>();
      // With bit fields the offset's upper byte is their width.
      const mask = info >>> 31 === 1 ? 0xffffff : 0xffffffff;
      for (let member = at + 12; member < next; member += 12)
        members.set(name(u32(member)), ((u32(member + 8) & mask) >>> 0) >>> 3);
      if (!found.has(name(u32(at)))) found.set(name(u32(at)), { size: u32(at + 8), members });
    }
    at = next;
  }
  return found;
}
