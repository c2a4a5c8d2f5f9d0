/**
 * The sections that the kernel knows by name, a row each: what stands in them, who writes them anew, what boot or the module loader does
 * with them, and how a module has them. Every stage asks this table; to know a further section is to add a row, and its tests. `verify`
 * has a table of its own on purpose, and a test compares the two.
 */
import type { Offset } from '../elf';
import type { EntryRules } from './entry-rules';

/**
 * Who needs a section. `build`: objtool alone (`.discard.annotate_insn`), before the module is linked. `module`: the loaded
 * module alone, in tables that objtool would make anew (`.orc_unwind`, `.return_sites`). `both`: everything else.
 */
export type SectionUse = 'both' | 'build' | 'module';

/** What a section is looked for that is no table of entries: its number in the columns, apart from those of such tables. */
export const Role = {
  /** Where ftrace has its sites. */ FTRACE_SITES: 200,
  /** Functions whose ENDBR boot code removes. */ SEALS: 201,
  /** Where entries of other tables start (6.19 on). */ ENTRY_ANNOTATIONS: 202,
  /** How often functions call each other. */ CALL_COUNTS: 203,
  /** Where Clang's -fprofile-generate counts. GCC's counters are ordinary variables. */ PROFILE_COUNTERS: 204,
  /** What objtool writes about any function on x86-64 and loongarch64. */ LAYOUTS: 205,
  /** GCC's program before code generation (`.gnu.lto_*`). */ LTO: 206,
  /** Functions that run at boot or when a module is loaded and unloaded (`.init_array`, `.ctors` and the like). */ CONSTRUCTORS: 207,
} as const;

/** Where a record that stands on its own holds its source line: byte offset of a u32, and the bits of it that are the line. */
export interface RecordLine {
  offset: Offset;
  mask: number;
}

export interface KernelSection {
  /** Tools make it anew, or no code reads it at run time: never content. */
  derived?: true;
  role?: number;
  /** A table of entries about code, which follow that code into a livepatch. */
  entries?: EntryRules;
  /** A table of one address of code an entry: bytes of an entry (0: those of the field), and who needs the livepatch's own. */
  addresses?: { size: number; use: SectionUse };
  /** Bytes that boot writes at most at a place that the table names. */
  writes?: number;
  /** A module's is walked as an array without gaps; the least alignment that it must have there. */
  array?: number;
  /** Code that is only ever copied to other places, or jumped to before alternatives are applied. */
  replacement?: true;
  /** Records whose identity is their content but for the source line, and where that stands in one without entries' rules. */
  record?: (little: boolean) => RecordLine | undefined;
  /** The records of pr_debug(). */
  debugRecords?: true;
  /** create-diff-object --klp-arch lets the kernel apply it again once the patched object is loaded. */
  lateInKpatch?: true;
}

const DERIVED: KernelSection = { derived: true };
const NEWER_DEBUG: KernelSection = {
  debugRecords: true,
  // struct _ddebug: four pointers, then a word whose first 18 bits are the line (2.6.39 to 7.2); a big-endian compiler fills bit-fields from the top.
  record: (little) => ({ offset: 32, mask: little ? 0x3ffff : 0xffffc000 }),
};
/** ppc64: code that depends on what the processor and the firmware can do; mask and value, then start, end and what comes in its place. */
const FEATURE_FIXUP: KernelSection = {
  entries: {
    struct: 'fixup_entry',
    sizes: [48],
    site: 16,
    meaning: () => [[0, 16]],
    references: () => [],
    code: [24, 32, 40],
  },
};
const addresses = (size: number, use: SectionUse = 'both'): KernelSection => ({ addresses: { size, use } });

/** The order of the tables of entries is that of their numbers. */
export const SECTIONS: Readonly<Record<string, KernelSection>> = {
  '.altinstructions': {
    array: 8,
    lateInKpatch: true,
    entries: {
      struct: 'alt_instr',
      sizes: [14, 13, 12],
      site: 0,
      // feature and flags, then both lengths. 12 bytes and 13 before 6.3 ("x86/alternatives: Introduce int3_emulate_jcc" era) have a u16 feature only.
      meaning: (size) => [[8, size]],
      references: () => [],
      // 13 bytes from 4.0 to 5.12: the padding's length stands behind both.
      replacement: { field: 4, length: (size) => (size === 13 ? 11 : size - 1) },
    },
  },
  __bug_table: {
    array: 8,
    record: () => undefined,
    entries: {
      struct: 'bug_entry',
      sizes: [16, 12, 8, 24],
      site: 0,
      // 7.x: format at 4, file at 8, line at 12, flags at 14. Before: file at 4, line at 8, flags at 10. Without verbose BUG: flags at 4.
      // ppc64 before 5.16 has pointers: address, file, line at 16, flags at 18.
      meaning: (size) => (size === 24 ? [[18, 20]] : size === 16 ? [[14, 16]] : size === 12 ? [[10, 12]] : [[4, 6]]),
      references: (size) => (size === 16 ? [4] : []),
      line: (size) => (size === 24 ? [16, 18] : size === 16 ? [12, 14] : size === 12 ? [8, 10] : undefined),
    },
  },
  __jump_table: {
    array: 8,
    entries: {
      struct: 'jump_entry',
      // Before 4.19 ("jump_label: Implement generic support for relative references") three pointers.
      sizes: [16, 24],
      site: 0,
      meaning: () => [],
      references: (size) => (size === 24 ? [8, 16] : [4, 8]),
      writes: 5,
      key: 'static branch',
    },
  },
  __ex_table: {
    array: 4,
    entries: {
      struct: 'exception_table_entry',
      sizes: [12, 8],
      site: 0,
      meaning: (size) => (size === 12 ? [[8, 12]] : []),
      references: () => [4],
    },
  },
  '.static_call_sites': {
    array: 1,
    entries: {
      struct: 'static_call_site',
      sizes: [8],
      site: 0,
      meaning: () => [],
      references: () => [4],
      // The longest site is a conditional tail call, `jcc rel32`.
      writes: 6,
      key: 'static call',
    },
  },
  '.parainstructions': {
    array: 1,
    lateInKpatch: true,
    entries: {
      struct: 'paravirt_patch_site',
      sizes: [16],
      site: 0,
      meaning: () => [[8, 10]],
      references: () => [],
      shortest: 10,
    },
  },
  __ftr_fixup: FEATURE_FIXUP,
  __mmu_ftr_fixup: FEATURE_FIXUP,
  __fw_ftr_fixup: FEATURE_FIXUP,

  __mcount_loc: { derived: true, role: Role.FTRACE_SITES, ...addresses(8), writes: 5, array: 8 },
  __patchable_function_entries: DERIVED,
  '.ibt_endbr_seal': { derived: true, role: Role.SEALS, writes: 4 },
  // `jmp __x86_return_thunk` becomes `ret; int3...`; a conditional indirect jump has six bytes.
  '.return_sites': { derived: true, ...addresses(4, 'module'), writes: 5, array: 1 },
  '.retpoline_sites': { derived: true, ...addresses(4, 'module'), writes: 6, array: 1 },
  '.call_sites': { derived: true, ...addresses(4, 'module'), writes: 5, array: 1 },
  '.cfi_sites': { derived: true, ...addresses(4, 'module'), array: 1 },
  '.smp_locks': { derived: true, ...addresses(4), array: 1 },
  '.kcfi_traps': { derived: true, ...addresses(4) },
  __kcfi_traps: { derived: true, ...addresses(4), array: 1 },
  '.orc_unwind': { derived: true, array: 1 },
  '.orc_unwind_ip': { derived: true, role: Role.LAYOUTS, array: 1 },
  '.orc_header': DERIVED,
  '.orc_lookup': DERIVED,
  '.altinstr_aux': { derived: true, replacement: true },
  '.altinstr_replacement': { derived: true, replacement: true },
  '.static_call_tramp_key': DERIVED,
  _kprobe_blacklist: DERIVED,
  _error_injection_whitelist: DERIVED,

  '.s390_return_mem': addresses(4),
  '.s390_return_reg': addresses(4),
  '.s390_indirect_call': addresses(4),
  '.s390_indirect_branches': addresses(4),
  '.s390_indirect_jump': addresses(4),
  __lwsync_fixup: addresses(8),
  __barrier_nospec_fixup: addresses(8),

  __dyndbg: { ...NEWER_DEBUG, array: 1 },
  // Its name until 5.10.
  __verbose: NEWER_DEBUG,
  // struct codetag, 6.10 on: u32 flags, u32 lineno.
  alloc_tags: { record: () => ({ offset: 4, mask: 0xffffffff }) },
  '.printk_index': { derived: true, array: 1 },
  __tracepoints_ptrs: { array: 1 },

  '.discard.annotate_data': { role: Role.ENTRY_ANNOTATIONS },
  '.discard.annotate_insn': addresses(8, 'build'),
  '.discard.unwind_hints': addresses(12, 'build'),
  '.discard.ibt_endbr_noseal': addresses(8, 'build'),
  '.discard.retpoline_safe': addresses(0, 'build'),
  '.discard.noendbr': addresses(0, 'build'),
  '.discard.reachable': addresses(0, 'build'),
  '.discard.ignore_alts': addresses(0, 'build'),
  '.discard.intra_function_calls': addresses(0, 'build'),
  '.discard.instr_begin': addresses(0, 'build'),
  '.discard.instr_end': addresses(0, 'build'),
  '.discard.validate_unret': addresses(0, 'build'),
  '.discard.func_stack_frame_non_standard': addresses(0, 'build'),

  '.llvm_addrsig': DERIVED,
  '.llvm.call-graph-profile': { derived: true, role: Role.CALL_COUNTS },
  __llvm_prf_cnts: { role: Role.PROFILE_COUNTERS },
  '.comment': DERIVED,
  // Since 6.4; modpost reads it, and the linker script drops it.
  '.export_symbol': DERIVED,
  '.modinfo': DERIVED,
  '.eh_frame': DERIVED,
  '.klp.symid': DERIVED,
  '.BTF': DERIVED,
  '.BTF.ext': DERIVED,
  '.BTF_ids': DERIVED,
  '.gnu.build.attributes': DERIVED,
};

/** The row of a section; undefined for one that no name says anything about. */
export function kernelSection(name: string): KernelSection | undefined {
  return Object.hasOwn(SECTIONS, name) ? SECTIONS[name] : undefined;
}
