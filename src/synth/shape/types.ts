import type { Distribution } from './distribution';

/** Places of code that tables list, by the table on x86-64. */
export const SITE_TABLES = {
  ftrace: '__mcount_loc',
  returns: '.return_sites',
  calls: '.call_sites',
  retpolines: '.retpoline_sites',
  seals: '.ibt_endbr_seal',
  orc: '.orc_unwind_ip',
  bugs: '__bug_table',
  jumpLabels: '__jump_table',
  staticCalls: '.static_call_sites',
  faults: '__ex_table',
  alternatives: '.altinstructions',
  locks: '.smp_locks',
  annotations: '.discard.annotate_insn',
  addressable: '.discard.addressable',
  exports: '.export_symbol',
  runtimeConstants: 'runtime_',
} as const;
export type SiteKind = keyof typeof SITE_TABLES;

/** What a relocation in code refers to. */
export const REFERENCE_KINDS = [
  'fentry',
  'returnThunk',
  'retpoline',
  'call',
  'code',
  'string',
  'constant',
  'data',
  'bss',
  'other',
] as const;
export type ReferenceKind = (typeof REFERENCE_KINDS)[number];

/** Sections of loaded data; `string` holds merged strings. */
export type DataKind = 'data' | 'bss' | 'rodata';

export interface ObjectShape {
  /** Symbols of type OBJECT with a size, per 1000 functions. */
  per1000: number;
  /** Of 1000: alone in their section. */
  alone: number;
  /** Bytes. */
  size: Distribution;
  /** Relocations in one. */
  relas: Distribution;
}

/**
 * How a relocatable kernel object is built: counts per 1000 functions and distributions, nothing that grows with its size.
 * A function is a symbol of type FUNC with a size, but for `__pfx_` symbols and further names of the same place.
 */
export interface Shape {
  schema: 'klpflow/shape@1';
  /** Of the object that was measured: x86-64 where it is not said. */
  processor?: 'x86-64' | 'aarch64';
  /** Of the object that was measured. */
  counts: { bytes: number; sections: number; symbols: number; relas: number; functions: number; units: number };
  functions: {
    /** Bytes. */
    size: Distribution;
    /** Relocations in one's code. */
    relas: Distribution;
    /** How far size and number of relocations go together: Spearman's rank correlation, -1 to 1. */
    sizeToRelas: number;
    /** Local ones in the scope of one FILE symbol, where there are any. */
    localsPerUnit: Distribution;
    /** Of 1000: local; global or weak; global with a `.llvm.HASH` suffix; a `.cold`, `.isra`, `.part` or `.constprop` part; with a `__pfx_` symbol; with another name of the same place. */
    per1000: { local: number; global: number; promoted: number; cloned: number; prefixed: number; aliased: number };
    /** Of 1000: alone in a section; in `.init.text`; in another section with others. */
    placed: { alone: number; init: number; shared: number };
    /** Local ones whose name stands more than once, of 1000 local ones; and how often such a name stands. */
    duplicates: { per1000: number; group: Distribution };
  };
  /** Functions with the hash of their type before them (kCFI), of 1000; where the processor's objects tell. */
  typeHashes?: number;
  /** Relocations in code by what they refer to, of 1000; the second one of a pair that makes an address does not count. */
  references: Record<ReferenceKind, number>;
  objects: Record<DataKind, ObjectShape>;
  /** Merged strings: different ones per 1000 functions; bytes without the NUL; sections of them per 1000 functions. */
  strings: { per1000: number; length: Distribution; sections: number };
  /** Entries of tables about code, per 1000 functions. */
  sites: Record<SiteKind, number>;
  /** Sections of patchable entries per 1000 functions: Clang makes one a function, `ld -r` joins those of GCC. */
  entrySections: number;
  /** Of all sections, symbols and relocations of the file, per 1000 functions. */
  totals: { sections: number; symbols: number; relas: number };
  /** `.debug_*` sections, per function; null where there are none. */
  debug: Record<string, { bytes: number; relas: number }> | null;
}
