import { readFileSync } from 'node:fs';
import { KlpflowError, fileError } from '../diagnostics';
import { structSizes } from '../livepatch/btf';
import { SPECIAL_SECTIONS } from '../livepatch/special-sections';

/**
 * Entry sizes of special sections from kernel types: raw BTF (`/sys/kernel/btf/vmlinux`), or a little-endian or
 * big-endian ELF64 file with a `.BTF` section.
 * @throws KlpflowError `unreadable`, `malformed-elf`
 */
export function readStructSizes(path: string): Record<string, number> {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch (cause) {
    throw fileError(path, cause, 'read');
  }
  const names = SPECIAL_SECTIONS.map(({ struct }) => struct);
  return structSizes(isElf(file) ? sectionOf(file, '.BTF', path) : file, names, path);
}

function isElf(file: Buffer): boolean {
  return file.length > 64 && file.readUInt32BE(0) === 0x7f454c46;
}

/** The content of a named section of any ELF64 file, linked ones too (which `ElfObject` refuses). */
function sectionOf(file: Buffer, name: string, path: string): Uint8Array {
  const fail = (expected: string): never => {
    throw new KlpflowError('malformed-elf', `${path}: ${expected}`, { object: path });
  };
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
      if (file.toString('latin1', start, start + name.length + 1) === `${name}\0`) return file.subarray(u64(at + 24), u64(at + 24) + u64(at + 32));
    }
  } catch {
    fail('its section table lies past the end of the file');
  }
  return fail(`no ${name} section`);
}
