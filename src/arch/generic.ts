import { EM_AARCH64, EM_LOONGARCH, EM_PPC64, EM_S390 } from '../elf';
import type { Arch } from './arch';
import { aarch64Disassembler, loongarchDisassembler, ppc64Disassembler, s390Disassembler } from './words-decode';

/** Relocation types of direct calls and jumps, from the processor supplements. */
const BRANCHES: Record<number, ReadonlySet<number>> = {
  [EM_AARCH64]: new Set([280, 282, 283]), // CONDBR19, JUMP26, CALL26
  [EM_PPC64]: new Set([10, 11, 116]), // REL24, REL14, REL24_NOTOC
  [EM_S390]: new Set([16, 18, 19, 20]), // PC16DBL, PLT16DBL, PC32DBL, PLT32DBL
  [EM_LOONGARCH]: new Set([64, 65, 66]), // B16, B21, B26
};

/** s390 counts PC-relative fields from the instruction, 2 bytes before the field. */
const S390_PC_RELATIVE = new Set([5, 16, 17, 18, 19, 20, 21, 23, 62, 63, 64, 65]);

/**
 * Processors whose instructions have no bytes behind a relocated field, and whose relocations name every branch that
 * leaves a section: a reference is its symbol and addend.
 */
function plain(machine: number, name: string, disassembler: Arch['disassembler'], pcRelative: ReadonlySet<number> = new Set(), bias = 0): Arch {
  return {
    machine, name, none: 0, tails: [0], forEachPossibleBranch: () => undefined, isPcRelative: (type) => pcRelative.has(type), bias: () => bias, tail: () => 0,
    isBranch: (_bytes, _start, _field, type) => BRANCHES[machine]!.has(type), relocationName: (type) => `type ${type}`, disassembler,
  };
}

export const aarch64 = plain(EM_AARCH64, 'aarch64', aarch64Disassembler);
export const ppc64 = plain(EM_PPC64, 'ppc64', ppc64Disassembler);
export const s390 = plain(EM_S390, 's390', s390Disassembler, S390_PC_RELATIVE, 2);
export const loongarch64 = plain(EM_LOONGARCH, 'loongarch64', loongarchDisassembler);
