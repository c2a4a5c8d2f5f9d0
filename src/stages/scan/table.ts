/**
 * The columns of one object, in shared memory.
 *
 * A kernel has 300,000 symbols and 200,000 sections: one JavaScript object each would cost seconds and gigabytes, so
 * every property is a typed array over one SharedArrayBuffer that all threads see. A million symbols take 110 MB.
 */

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
  /** A function's cold part. */
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
} as const;

/** Bit of the fourth word of a reference: the target's name proves nothing. */
export const REFERENCE_AMBIGUOUS = 0x100;

/** SHN_XINDEX resolved; the reserved indices keep values above every real one. */
export const SECTION_ABS = 0xfffffff1;
export const SECTION_COMMON = 0xfffffff2;

export interface Shape {
  symbols: number;
  sections: number;
}

export class ScanTable {
  // Per symbol.
  /** File offset of the name. */ readonly name: Uint32Array;
  /** Length of the name in bytes. */ readonly nameLength: Uint16Array;
  /** Two words of base-name hash. */ readonly hash: Uint32Array;
  readonly section: Uint32Array;
  /** st_value; bytes from the section's start. */ readonly value: Float64Array;
  readonly size: Float64Array;
  /** st_info. */ readonly info: Uint8Array;
  readonly kind: Uint8Array;
  readonly traits: Uint32Array;
  /** The FILE symbol a local belongs to, 0 for none. */ readonly file: Uint32Array;
  /** The alias that stands for the group; itself for most. */ readonly canonical: Uint32Array;
  /** Hash of the `.llvm.` suffix, 0 for none. */ readonly suffix: Uint32Array;
  /**
   * What a reference to the symbol mixes in, side by side so that it costs one cache line: two words of base-name hash of
   * the canonical symbol, the canonical symbol, and kind | REFERENCE_AMBIGUOUS. Derived from the other columns.
   */ readonly reference: Uint32Array;
  /** FILE and correlatable symbols in table order, `listedCount` of them: what correlation goes through. Derived. */
  readonly listed: Uint32Array;
  /** Sections that are read entry by entry, sought by role or hold records; a handful, `roleCount` of them. Derived. */
  readonly roles: Uint32Array;
  /** How many of `listed` and `roles` are filled, and how many cold parts there are. */ private readonly counts: Uint32Array;
  /** Four words of content digest. */ readonly digest: Int32Array;
  /** Two words of digest over the function's special-section entries, order-free. */ readonly special: Int32Array;
  /** Sum over the source lines that its entries or its record carry; a difference here is told and ignored. */ readonly lines: Int32Array;

  // Per section.
  readonly sectionClass: Uint32Array;
  /** Number of the special section, 0 for none. */ readonly sectionSpecial: Uint8Array;
  /** The rela section that applies, 0 for none. */ readonly relaSection: Uint32Array;
  /** covers[coverStart[s] .. coverStart[s + 1]) are the sized symbols of section s by (value, size). */ readonly coverStart: Uint32Array;
  readonly covers: Uint32Array;
  /** Running maximum of the covers' ends within a section: where a backward search may stop. */ readonly coverEnd: Float64Array;

  /** Lays the columns over `buffer`, or over fresh zeroed shared memory. */
  constructor(readonly shape: Shape, readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(ScanTable.bytes(shape))) {
    const { symbols: n, sections: m } = shape;
    let at = 0;
    const take = <T>(type: new (buffer: SharedArrayBuffer, offset: number, length: number) => T, length: number, width: number): T => {
      const column = new type(buffer, at, length);
      at = align8(at + length * width);
      return column;
    };
    this.value = take(Float64Array, n, 8);
    this.size = take(Float64Array, n, 8);
    this.coverEnd = take(Float64Array, n, 8);
    this.digest = take(Int32Array, n * 4, 4);
    this.reference = take(Uint32Array, n * 4, 4);
    this.special = take(Int32Array, n * 2, 4);
    this.lines = take(Int32Array, n, 4);
    this.hash = take(Uint32Array, n * 2, 4);
    this.name = take(Uint32Array, n, 4);
    this.section = take(Uint32Array, n, 4);
    this.file = take(Uint32Array, n, 4);
    this.canonical = take(Uint32Array, n, 4);
    this.covers = take(Uint32Array, n, 4);
    this.suffix = take(Uint32Array, n, 4);
    this.traits = take(Uint32Array, n, 4);
    this.listed = take(Uint32Array, n, 4);
    this.roles = take(Uint32Array, m, 4);
    this.counts = take(Uint32Array, 4, 4);
    this.sectionClass = take(Uint32Array, m, 4);
    this.relaSection = take(Uint32Array, m, 4);
    this.coverStart = take(Uint32Array, m + 1, 4);
    this.nameLength = take(Uint16Array, n, 2);
    this.info = take(Uint8Array, n, 1);
    this.kind = take(Uint8Array, n, 1);
    this.sectionSpecial = take(Uint8Array, m, 1);
  }

  /** Bytes of shared memory that an object of this shape needs. */
  static bytes({ symbols: n, sections: m }: Shape): number {
    const widths: ReadonlyArray<readonly [number, number]> = [
      [n, 8], [n, 8], [n, 8], [n * 4, 4], [n * 4, 4], [n * 2, 4], [n * 2, 4], [n, 4], [n, 4], [n, 4], [n, 4], [n, 4], [n, 4], [n, 4], [n, 4], [n, 4], [4, 4],
      [m, 4], [m, 4], [m, 4], [m + 1, 4], [n, 2], [n, 1], [n, 1], [m, 1],
    ];
    return widths.reduce((total, [length, width]) => align8(total + length * width), 0);
  }

  get listedCount(): number {
    return this.counts[0]!;
  }

  set listedCount(count: number) {
    this.counts[0] = count;
  }

  get roleCount(): number {
    return this.counts[1]!;
  }

  set roleCount(count: number) {
    this.counts[1] = count;
  }

  get coldCount(): number {
    return this.counts[2]!;
  }

  set coldCount(count: number) {
    this.counts[2] = count;
  }

  get symbols(): number {
    return this.shape.symbols;
  }

  get sections(): number {
    return this.shape.sections;
  }

  has(symbol: number, trait: number): boolean {
    return (this.traits[symbol]! & trait) !== 0;
  }
}

function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
