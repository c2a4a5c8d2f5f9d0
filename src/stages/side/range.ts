import type { Offset, SectionIndex, WordIndex } from '../../elf';

/** Bytes [start, end) of a section. */
export interface Range {
  section: SectionIndex;
  start: number;
  end: number;
}

/** One relocation: the word where its record begins, and its field's offset in the section. */
export interface RelaAt {
  words: Uint32Array;
  at: WordIndex;
  offset: Offset;
}
