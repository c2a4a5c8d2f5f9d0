import type { SectionIndex } from './indices';

/** Bytes, or a way to produce them for a section; `size` is asked for where the plan states none. */
export type PlannedContent =
  | Uint8Array
  | { readonly size?: number; chunks(pass: WritePass, section: SectionIndex): Iterable<Uint8Array> };

/** What one pass over the file shares. */
export interface WritePass {
  /** Index of each symbol handle in the written table. */
  readonly symbolIndices: Uint32Array;
  /** Room for records, reused by all tables of the file: a kernel has 100,000 rela sections. */
  readonly records: DataView;
}
