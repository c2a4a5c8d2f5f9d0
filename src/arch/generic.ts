import { EM_AARCH64, EM_LOONGARCH, EM_PPC64, EM_S390 } from '../elf';
import type { Arch } from './arch';
import { aarch64Disassembler, loongarchDisassembler, ppc64Disassembler, s390Disassembler } from './words-decode';

/** Relocation types of direct calls and jumps, from the processor supplements. */
const BRANCHES: Record<number, ReadonlySet<number>> = {
  [EM_AARCH64]: new Set([280, 282, 283]), // CONDBR19, JUMP26, CALL26
  [EM_PPC64]: new Set([10, 11, 116]), // REL24, REL14, REL24_NOTOC
  [EM_S390]: new Set([17, 18, 20]), // PC16DBL, PLT16DBL, PLT32DBL
  [EM_LOONGARCH]: new Set([64, 65, 66]), // B16, B21, B26
};

/** s390 types whose field is relative to its own place: PC32, PC16DBL to PLT32DBL, GOTPCDBL, PC64, GOTENT, the 12- and 24-bit ones. */
const S390_PC_RELATIVE = new Set([5, 16, 17, 18, 19, 20, 21, 23, 26, 62, 63, 64, 65]);
/** Those that count in halfwords: their field stands 2 bytes into the instruction that they are relative to. */
const S390_HALFWORDS = new Set([17, 18, 19, 20, 21, 26, 62, 63, 64, 65]);
const S390_PC32DBL = 19;

/**
 * Processors whose instructions have no bytes behind a relocated field, and whose relocations name every branch that
 * leaves a section: a reference is its symbol and addend. What linking writes is the instruction word around the offset, or
 * two of them.
 */
function plain(machine: number, name: string, disassembler: Arch['disassembler']): Arch {
  return {
    machine, name, none: 0, tails: [0], linked: () => [-3, 8], forEachPossibleBranch: () => undefined, isPcRelative: () => false, bias: () => 0, tail: () => 0,
    isBranch: (_bytes, _start, _field, type) => BRANCHES[machine]!.has(type), relocationName: (type) => `type ${type}`, disassembler,
  };
}

export const aarch64 = plain(EM_AARCH64, 'aarch64', aarch64Disassembler);
export const ppc64 = plain(EM_PPC64, 'ppc64', ppc64Disassembler);
export const s390: Arch = {
  ...plain(EM_S390, 's390', s390Disassembler),
  isPcRelative: (type) => S390_PC_RELATIVE.has(type),
  bias: (type) => (S390_HALFWORDS.has(type) ? -2 : 0),
  // `larl` takes an address with the type that older compilers also call with: c0x0 against brasl c0x5, brcl c0x4.
  isBranch(bytes, start, field, type) {
    if (type !== S390_PC32DBL) return BRANCHES[EM_S390]!.has(type);
    const low = field - 2 >= start && bytes[field - 2] === 0xc0 ? bytes[field - 1]! & 0xf : 0;
    return low === 4 || low === 5;
  },
};
export const loongarch64 = plain(EM_LOONGARCH, 'loongarch64', loongarchDisassembler);
