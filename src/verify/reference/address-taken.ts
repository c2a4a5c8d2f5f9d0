import { R_X86_64_PC32, R_X86_64_PLT32, SHF_ALLOC, SHF_EXECINSTR, STT_FUNC } from '../../elf';
import { isTable } from '../tables';
import type { ReferenceObject, ReferenceRela } from './object';

/** Bytes of a field behind which an instruction ends, as that of `lea x(%rip)` does. */
const FIELD = 4;

/** Lists of functions that call none: what is exported, or may not be probed, or is to be kept by the compiler (`__ADDRESSABLE`). */
const LISTS =
  /^(?:\.discard|\.eh_frame|_+ksymtab|_kprobe_blacklist|_error_injection_whitelist|\.static_call_tramp_key)/;

/** Whether an object keeps the address of a function of this name: in data, or in an instruction that is no branch to it. */
export function takesAddress(object: ReferenceObject, name: string): boolean {
  const { elf } = object;
  const bodies = object.named((type, other) => type === STT_FUNC && other === name);
  const places = new Set(bodies.map(({ section, value }) => `${section}:${value}`));
  const homes = new Set([0, ...bodies.map(({ section }) => section)]);
  for (let section = 1; section < elf.sectionCount; section++) {
    const flags = elf.sectionFlags(section);
    if ((flags & SHF_ALLOC) === 0 || isTable(elf.name(section)) || LISTS.test(elf.name(section))) continue;
    const code = (flags & SHF_EXECINSTR) !== 0 ? elf.content(section) : undefined;
    const reaches = ({ offset, type, symbol, addend }: ReferenceRela): boolean => {
      if (type === R_X86_64_PLT32 || (code !== undefined && isBranch(code, offset))) return false;
      const target = object.symbol(symbol);
      const distance = addend + (code !== undefined && type === R_X86_64_PC32 ? FIELD : 0);
      return target.section === 0
        ? target.name === name && distance === 0
        : places.has(`${target.section}:${target.value + distance}`);
    };
    if (object.relas(section, (_, symbol) => homes.has(object.sectionOf(symbol))).some(reaches)) return true;
  }
  return false;
}

/** call and jmp (e8, e9), jcc (0f 80 to 0f 8f). */
function isBranch(code: Uint8Array, field: number): boolean {
  const opcode = code[field - 1];
  return (
    opcode === 0xe8 || opcode === 0xe9 || (code[field - 2] === 0x0f && opcode !== undefined && (opcode & 0xf0) === 0x80)
  );
}
