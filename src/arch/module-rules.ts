import { R_X86_64_32, R_X86_64_32S, R_X86_64_64, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32 } from '../elf';

/** What the kernel's module loader makes of relocations, for the processors of which livepatch objects and modules are written. */
export interface ModuleRules {
  /** Whether klp-build makes modules of objects, so that objtool has work to do on them. */
  readonly klpBuild: boolean;
  /** The types that the loader applies, each with the bytes of its field. */
  readonly fields: ReadonlyMap<number, number>;
  /** The loader wants zeros where it writes. Elsewhere the field is bits of an instruction, and its other bits have to stand there. */
  readonly cleared: boolean;
  /** The relocation that stores a signed 32-bit distance. */
  readonly relative32: number;
  /** Types that store an unsigned number too short for any of the kernel's addresses. */
  readonly numbers: ReadonlySet<number>;
  /** Types whose field reaches what lies nearby alone: no place outside of the module. */
  readonly nearby: ReadonlySet<number>;
  /** What lies in words alone can be filled in once the module is there. */
  readonly lateWords: boolean;
}

/** arch/x86/kernel/module.c; the kernel's addresses are the highest 2 GiB, negative as 32 bits. */
export const X86_64_MODULES: ModuleRules = {
  klpBuild: true,
  fields: new Map([
    [R_X86_64_64, 8],
    [R_X86_64_PC64, 8],
    [R_X86_64_32, 4],
    [R_X86_64_32S, 4],
    [R_X86_64_PC32, 4],
    [R_X86_64_PLT32, 4],
  ]),
  cleared: true,
  relative32: R_X86_64_PC32,
  numbers: new Set([R_X86_64_32]),
  nearby: new Set(),
  lateWords: false,
};
