/** What differs by processor in a module: numbers of relocations, and what the loader does with them. */
import {
  EM_AARCH64,
  EM_X86_64,
  R_X86_64_32,
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
} from '../elf';

export interface Machine {
  /** Bytes that a relocation fills, by type; types that the module loader does not know are absent. */
  widths: Readonly<Record<number, number>>;
  /** Types that count from the end of an instruction, or from a field of data. */
  relative: ReadonlySet<number>;
  /** The loader refuses a field that is not zero. Elsewhere it is bits of an instruction. */
  zeros: boolean;
  /** Types of a pointer, and of distances of 4 and 8 bytes. */
  pointer: number;
  distance: number;
  distance64: number;
  /** Branches that lead out of the module may go through code that makes the address. */
  veneers: boolean;
  /** Bytes of an alternatives entry, and the bit of its u16 feature that makes the second field a function. */
  alternative: number;
  callback: number;
  /** Bytes of an instruction that a jump label switches. */
  switchable: readonly number[];
}

const X86_64: Machine = {
  widths: {
    [R_X86_64_64]: 8,
    [R_X86_64_PC32]: 4,
    [R_X86_64_PLT32]: 4,
    [R_X86_64_32]: 4,
    [R_X86_64_32S]: 4,
    [R_X86_64_PC64]: 8,
  },
  relative: new Set([R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_PC64]),
  zeros: true,
  pointer: R_X86_64_64,
  distance: R_X86_64_PC32,
  distance64: R_X86_64_PC64,
  veneers: false,
  alternative: 14,
  callback: 0,
  switchable: [2, 5],
};

/** Instructions' types of arch/arm64/kernel/module.c: MOVW_*, LD_PREL_LO19 to LDST8_ABS_LO12_NC, branches, the other LDST*, MOVW_PREL_*, LDST128. */
const A64_WORDS: ReadonlyArray<readonly [from: number, to: number]> = [
  [263, 280],
  [282, 293],
  [299, 299],
];

const AARCH64: Machine = {
  widths: {
    257: 8,
    258: 4,
    259: 2,
    260: 8,
    261: 4,
    262: 2,
    ...Object.fromEntries(
      A64_WORDS.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => [from + i, 4])),
    ),
  },
  // A symbol and an addend are the target, always.
  relative: new Set(),
  zeros: false,
  pointer: 257,
  distance: 261,
  distance64: 260,
  veneers: true,
  alternative: 12,
  callback: 0x8000,
  switchable: [4],
};

const MACHINES: ReadonlyMap<number, Machine> = new Map([
  [EM_X86_64, X86_64],
  [EM_AARCH64, AARCH64],
]);

/** Undefined for a processor whose modules nobody here knows. */
export function machineOf(machine: number): Machine | undefined {
  return MACHINES.get(machine);
}
