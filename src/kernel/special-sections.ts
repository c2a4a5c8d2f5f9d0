/**
 * Special sections: tables of entries about code. An entry is part of the identity of the function whose code it
 * describes, and follows it into a livepatch.
 *
 * Sizes: kernels name them in several ways and none is always there (Clang 19's assembler writes sh_entsize 0 for
 * "aM" sections, GCC kernels before 7.x set none at all), so each is a candidate that the section itself must confirm.
 */
export interface SpecialSection {
  name: string;
  /** Kernel struct whose BTF size is the entry size. */
  struct: string;
  /** Sizes seen in releases, newest first; a size is believed only when the section's relas fit it. */
  sizes: readonly number[];
  /** Offset of the field that holds the code address. */
  site: number;
  /** Byte ranges [from, to) of an entry that decide its meaning; lines and file names are left out. */
  meaning: (size: number) => ReadonlyArray<readonly [number, number]>;
  /** Byte range of a source line, which is told but never counts. */
  line?: (size: number) => readonly [number, number] | undefined;
  /** Fields that refer to something by a relocation and belong to the meaning. */
  references: (size: number) => readonly number[];
  /** Further fields that refer to code and mean nothing of their own: the end of a range, replacement code. */
  code?: readonly number[];
  /** Bytes that the last entry has at least: the assembler pads those before it only. */
  shortest?: number;
  /** Bytes at an entry's site that the kernel writes at most; alternatives say their own (see `replacement`), other entries make it write nothing. */
  writes?: number;
  /** Offset of a reference whose target's code is part of the meaning, with the offset of its u8 length; the site's stands right before that. */
  replacement?: { field: number; length: (size: number) => number };
}

export const SPECIAL_SECTIONS: readonly SpecialSection[] = [
  {
    name: '.altinstructions',
    struct: 'alt_instr',
    sizes: [14, 13, 12],
    site: 0,
    // feature and flags, then both lengths. 12 bytes and 13 before 6.3 ("x86/alternatives: Introduce int3_emulate_jcc" era) have a u16 feature only.
    meaning: (size) => [[8, size]],
    references: () => [],
    // 13 bytes from 4.0 to 5.12: the padding's length stands behind both.
    replacement: { field: 4, length: (size) => (size === 13 ? 11 : size - 1) },
  },
  {
    name: '__bug_table',
    struct: 'bug_entry',
    sizes: [16, 12, 8, 24],
    site: 0,
    // 7.x: format at 4, file at 8, line at 12, flags at 14. Before: file at 4, line at 8, flags at 10. Without verbose BUG: flags at 4.
    // ppc64 before 5.16 has pointers: address, file, line at 16, flags at 18.
    meaning: (size) => (size === 24 ? [[18, 20]] : size === 16 ? [[14, 16]] : size === 12 ? [[10, 12]] : [[4, 6]]),
    references: (size) => (size === 16 ? [4] : []),
    line: (size) => (size === 24 ? [16, 18] : size === 16 ? [12, 14] : size === 12 ? [8, 10] : undefined),
  },
  // Before 4.19 ("jump_label: Implement generic support for relative references") three pointers.
  {
    name: '__jump_table',
    struct: 'jump_entry',
    sizes: [16, 24],
    site: 0,
    meaning: () => [],
    references: (size) => (size === 24 ? [8, 16] : [4, 8]),
    writes: 5,
  },
  {
    name: '__ex_table',
    struct: 'exception_table_entry',
    sizes: [12, 8],
    site: 0,
    meaning: (size) => (size === 12 ? [[8, 12]] : []),
    references: () => [4],
  },
  // The longest site is a conditional tail call, `jcc rel32`.
  {
    name: '.static_call_sites',
    struct: 'static_call_site',
    sizes: [8],
    site: 0,
    meaning: () => [],
    references: () => [4],
    writes: 6,
  },
  {
    name: '.parainstructions',
    struct: 'paravirt_patch_site',
    sizes: [16],
    site: 0,
    meaning: () => [[8, 10]],
    references: () => [],
    shortest: 10,
  },
  // ppc64: code that depends on what the processor and the firmware can do; mask and value, then start, end and what comes in its place.
  ...['__ftr_fixup', '__mmu_ftr_fixup', '__fw_ftr_fixup'].map(
    (name): SpecialSection => ({
      name,
      struct: 'fixup_entry',
      sizes: [48],
      site: 16,
      meaning: () => [[0, 16]],
      references: () => [],
      code: [24, 32, 40],
    }),
  ),
];

/**
 * `runtime_ptr_X`, `runtime_shift_X` (6.11 on), `runtime_mask_X` (7.3 on): one s32 per immediate that boot code overwrites with X. Any other kind counts, too:
 * who does not know it copies a placeholder.
 */
const RUNTIME_CONSTANT = /^runtime_[^_]+_./;

const INDEX = new Map(SPECIAL_SECTIONS.map((section, index) => [section.name, index + 1]));

/** Runtime constants share one number: the section's name is the entry's meaning. */
export const RUNTIME_SPECIAL = SPECIAL_SECTIONS.length + 1;

/** Sections that are no such tables but are looked for: their numbers, from FIRST_ROLE on. */
export const FIRST_ROLE = 200;
export const Role = {
  /** `__mcount_loc`: ftrace sites. */ FTRACE_SITES: 200,
  /** `.ibt_endbr_seal`: functions whose ENDBR boot code removes. */ SEALS: 201,
  /** `.discard.annotate_data`: where entries of other tables start (6.19 on). */ ENTRY_ANNOTATIONS: 202,
  /** `.llvm.call-graph-profile`: how often functions call each other. */ CALL_COUNTS: 203,
  /** `__llvm_prf_cnts`: where Clang's -fprofile-generate counts. GCC's counters are ordinary variables. */ PROFILE_COUNTERS: 204,
  /** `.gnu.lto_*`: GCC's program before code generation. */ LTO: 206,
  /** `.orc_unwind_ip`: what objtool writes about any function on x86-64 and loongarch64. */ LAYOUTS: 205,
} as const;

const ROLES = new Map<string, number>([
  ['__mcount_loc', Role.FTRACE_SITES],
  ['.ibt_endbr_seal', Role.SEALS],
  ['.discard.annotate_data', Role.ENTRY_ANNOTATIONS],
  ['.llvm.call-graph-profile', Role.CALL_COUNTS],
  ['__llvm_prf_cnts', Role.PROFILE_COUNTERS],
  ['.orc_unwind_ip', Role.LAYOUTS],
]);

/** Number of the special section or role of this name, 0 for none. */
export function specialNumber(name: string): number {
  return (
    INDEX.get(name) ??
    ROLES.get(name) ??
    (RUNTIME_CONSTANT.test(name) ? RUNTIME_SPECIAL : name.startsWith('.gnu.lto_') ? Role.LTO : 0)
  );
}

/** A runtime-constant section as a special section: the site is the entry's only field. */
export function runtimeSection(name: string): SpecialSection {
  return { name, struct: '', sizes: [4], site: 0, meaning: () => [], references: () => [] };
}
