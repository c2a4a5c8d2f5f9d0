/**
 * The columns of a scanned object, a row each. Layout and views (stages/scan/table.ts), the WebAssembly's addresses (scripts/wasm.mjs) and what is
 * recorded of them (records/table.ts) derive from this table; proto/klpflow.proto has the numbers of the recorded ones.
 */
import type { Offset, SectionIndex, SymbolIndex } from './elf/indices';

type Elements = typeof Int32Array | typeof Uint32Array | typeof Uint16Array | typeof Uint8Array;

interface Column {
  type: Elements;
  /** Elements a symbol, or a section. */
  each: number;
  of: 'symbol' | 'section' | 'object';
  /** What its elements count, where that is an index or an offset. */
  holds?: keyof Held;
  /** One more element behind the last. */
  end?: true;
  /** Its field in SymbolBatch or SectionBatch; columns without one are derived from those that have one. */
  recorded?: string;
}

interface Held {
  symbol: SymbolIndex;
  section: SectionIndex;
  offset: Offset;
}

const symbol = <T extends Elements>(type: T, each = 1) => ({ type, each, of: 'symbol' as const });
const section = <T extends Elements>(type: T) => ({ type, each: 1, of: 'section' as const });

/** In the order in which they lie in memory, each 8-aligned. */
export const COLUMNS = {
  /** Four words of content digest. */
  digest: symbol(Int32Array, 4),
  /** Two words of digest over the function's special-section entries, order-free. */
  special: symbol(Int32Array, 2),
  /** Two words of base-name hash. */
  hash: { ...symbol(Uint32Array, 2), recorded: 'hash' },
  /** st_value; bytes from the section's start. Of SHN_ABS only the low 32 bits: ElfFile.symbolValue has all. */
  value: { ...symbol(Uint32Array), recorded: 'value', holds: 'offset' },
  size: { ...symbol(Uint32Array), recorded: 'size' },
  /** File offset of the name. */
  name: { ...symbol(Uint32Array), recorded: 'name' },
  section: { ...symbol(Uint32Array), recorded: 'section', holds: 'section' },
  /** The FILE symbol a local belongs to, 0 for none. */
  file: { ...symbol(Uint32Array), recorded: 'file', holds: 'symbol' },
  /** The alias that stands for the group; itself for most. */
  canonical: { ...symbol(Uint32Array), recorded: 'canonical', holds: 'symbol' },
  /** Hash of the `.llvm.` suffix, 0 for none. */
  suffix: { ...symbol(Uint32Array), recorded: 'suffix' },
  traits: { ...symbol(Uint32Array), recorded: 'traits' },
  /** Sum over the source lines that a function's entries carry; a difference here is told and ignored. */
  lines: symbol(Int32Array),
  /** covers[coverStart[s] .. coverStart[s + 1]) are the sized symbols of section s by (value, size). */
  covers: { ...symbol(Uint32Array), recorded: 'covers', holds: 'symbol' },
  /** The WebAssembly's alone, as are `refersTo` (wasm/derive.ts), `sectionStart` and `sectionLength` (wasm/sections.ts). */
  around: symbol(Uint32Array),
  /** FILE and correlatable symbols in table order, `listedCount` of them: what correlation goes through. */
  listed: { ...symbol(Uint32Array), holds: 'symbol' },
  /** Length of the name in bytes. */
  nameLength: { ...symbol(Uint16Array), recorded: 'nameLength' },
  /** st_info. */
  info: { ...symbol(Uint8Array), recorded: 'info' },
  kind: { ...symbol(Uint8Array), recorded: 'kind' },
  refersTo: symbol(Uint8Array),
  sectionClass: { ...section(Uint32Array), recorded: 'class' },
  /** The rela section that applies, 0 for none. */
  relaSection: { ...section(Uint32Array), recorded: 'relaSection', holds: 'section' },
  sectionStart: section(Uint32Array),
  sectionLength: section(Uint32Array),
  coverStart: { ...section(Uint32Array), end: true, recorded: 'coverStart' },
  /** The object that a section consists of, canonical; 0 for others. */
  sole: { ...section(Uint32Array), holds: 'symbol' },
  /** Sections that are read entry by entry, sought by role, hold records or have a name of their own; some hundred, `roleCount` of them. */
  roles: { ...section(Uint32Array), holds: 'section' },
  /** Number of the special section, 0 for none. */
  sectionSpecial: { ...section(Uint8Array), recorded: 'special' },
  /** Bits of a loaded section that has bytes which no sized symbol covers, and which are compared as such: 1, and 2 where labels stand in it; see wasm/uncovered.ts. */
  gapped: section(Uint8Array),
  /** How many of `listed` and `roles` are filled, and how many cold parts and prefixes with a type there are. */
  counts: { type: Uint32Array, each: 4, of: 'object' },
} as const satisfies Record<string, Column>;

export type ColumnName = keyof typeof COLUMNS;
/** A typed array whose elements count something. */
export interface Uint32ArrayOf<T extends number> extends Uint32Array {
  [index: number]: T;
  subarray(begin?: number, end?: number): Uint32ArrayOf<T>;
  [Symbol.iterator](): ArrayIterator<T>;
}

/** The column as an array, over memory of either kind. */
export type ViewOf<N extends ColumnName> = (typeof COLUMNS)[N] extends { holds: infer What extends keyof Held }
  ? Uint32ArrayOf<Held[What]>
  : InstanceType<(typeof COLUMNS)[N]['type']>;

export const COLUMN_NAMES = Object.keys(COLUMNS) as ColumnName[];

/** The columns that are recorded. */
export type RecordedName = {
  [N in ColumnName]: (typeof COLUMNS)[N] extends { recorded: string } ? N : never;
}[ColumnName];

/** The recorded columns of symbols, or of sections. */
export function recordedOf(of: 'symbol' | 'section'): Array<{ column: RecordedName; field: string; each: number }> {
  return COLUMN_NAMES.flatMap((name) => {
    const column: Column = COLUMNS[name];
    return column.of === of && column.recorded !== undefined
      ? [{ column: name as RecordedName, field: column.recorded, each: column.each }]
      : [];
  });
}

export interface Shape {
  symbols: number;
  sections: number;
}

/** Where each column lies behind the first `start` bytes, and where the last one ends. */
export function layout(
  { symbols, sections }: Shape,
  start: number,
): { at: Record<ColumnName, [offset: number, length: number]>; end: number } {
  const counts = { symbol: symbols, section: sections, object: 1 };
  const at: Partial<Record<ColumnName, [number, number]>> = {};
  let end = start;
  for (const name of COLUMN_NAMES) {
    const { type, each, of, end: more }: Column = COLUMNS[name];
    const length = counts[of] * each + (more === true ? 1 : 0);
    at[name] = [end, length];
    end = Math.ceil((end + type.BYTES_PER_ELEMENT * length) / 8) * 8;
  }
  return { at: at as Record<ColumnName, [number, number]>, end };
}
