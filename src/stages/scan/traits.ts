/** The numbers that the symbol columns of a table hold. The WebAssembly has them, too; see scripts/wasm.mjs. */

/** What a reference to a symbol means, i.e. which part of its target makes it equal to another. */
export const Kind = {
  /** Never referred to: the null symbol and FILE symbols. */
  NONE: 0,
  /** A named function or object: its base name. */
  NAMED: 1,
  /** A section symbol, `.L` label or `.Ltmp`: whatever lies at that place. */
  PLACE: 2,
  /** Inside a string section: the text. */
  STRING: 3,
  /** Read-only data private to each build (`CSWTCH.7`, `__func__.3`): the content. */
  CONTENT: 4,
  /** Private to each build and writable or empty (`__key.5`, `__already_done.2`): the base name. */
  PRIVATE: 5,
  /** SHN_ABS: the value. */
  ABSOLUTE: 6,
  /** Undefined here: the full name. */
  UNDEFINED: 7,
} as const;

export const Trait = {
  /** Takes part in correlation. */
  CORRELATABLE: 1,
  /** Binding LOCAL, or promoted by LTO (`.llvm.`): belongs to one unit. */
  UNIT_LOCAL: 2,
  /** The name ends in `.llvm.<hash>`. */
  PROMOTED: 4,
  /** The name ends in a number that the base name leaves out. */
  NUMBERED: 8,
  /** The base name proves nothing: another correlatable symbol has it too, or it is a numbered writable local. */
  AMBIGUOUS: 0x10,
  /** Padding before a function (`__pfx_f`). */
  PREFIX: 0x20,
  /** A piece of a function: its cold part, or blocks in a section of their own (`f.__part.1`). Never called, never redirected. */
  COLD: 0x40,
  /** Has a digest: sized content of a loaded section. */
  CONTENT: 0x80,
  /** An alias whose canonical symbol carries the digest. */
  ALIAS: 0x100,
  FUNC: 0x200,
  OBJECT: 0x400,
  /** Lies in a writable section. */
  WRITABLE: 0x800,
  INIT: 0x1000,
  EXIT: 0x2000,
  /** Has an ftrace site: an entry of `__mcount_loc` within it. */
  TRACEABLE: 0x4000,
  /** Listed in `.ibt_endbr_seal`: boot code removes its ENDBR. */
  SEALED: 0x8000,
  /** Refers to a symbol whose name proves nothing, so equal digests are not yet equal contents. Set by correlate. */
  HAS_USES: 0x10000,
  /** Refers to a place between two objects of which one has a name that proves nothing (see wasm/neighbours.ts): equal digests say nothing. Set by correlate. */
  DOUBTFUL: 0x20000,
  /** A prefix that holds the function's type (`__cfi_f`). */
  TYPED: 0x40000,
} as const;

/** Traits that special sections tell: a table is recorded without them, they are recorded with what those sections say. */
export const SPECIAL_TRAITS = Trait.TRACEABLE | Trait.SEALED;

/** Bits of `refersTo`: the target's kind, whether its name proves nothing, and whether another symbol stands for it. */
export const REFERS_KIND = 0xf;
export const REFERS_AMBIGUOUS = 0x10;
export const REFERS_ALIAS = 0x20;

/** SHN_XINDEX resolved; the reserved indices keep values above every real one. */
export const SECTION_ABS = 0xfffffff1;
export const SECTION_COMMON = 0xfffffff2;

/** Set in the target of a use that may be another's: see wasm/neighbours.ts. It is nobody's evidence. No object has as many symbols. */
export const DOUBTFUL_USE = 0x80000000;

/** How far behind an object a reference to it may lie: less than one element of a table of structs. */
export const REACH_BEHIND = 64;
/** How far before it: one element of what is counted down. */
export const REACH_BEFORE = 16;
