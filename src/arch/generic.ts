import { EM_AARCH64, EM_LOONGARCH, EM_PPC64, EM_S390 } from '../elf';
import type { Arch } from './arch';

/** s390 PC32DBL fields start 2 bytes into their instruction, which the addend makes up for. */
const S390_PC_RELATIVE = new Set([5, 16, 17, 18, 19, 20, 21, 23, 62, 63, 64, 65]);

/**
 * Processors whose instructions have no bytes behind a relocated field and whose code klpflow compares without
 * decoding: a reference is its symbol and addend, and relocations name every branch that leaves a section.
 */
function fixedLength(machine: number, name: string, pcRelative: (type: number) => boolean, bias: number): Arch {
  return {
    machine, name, none: 0, tails: [0], isPcRelative: pcRelative, bias: () => bias, tail: () => 0,
    relocationName: (type) => `type ${type}`,
  };
}

export const aarch64 = fixedLength(EM_AARCH64, 'aarch64', () => false, 0);
export const ppc64 = fixedLength(EM_PPC64, 'ppc64', () => false, 0);
export const s390 = fixedLength(EM_S390, 's390', (type) => S390_PC_RELATIVE.has(type), 2);
export const loongarch64 = fixedLength(EM_LOONGARCH, 'loongarch64', () => false, 0);
