import { RELA_WORDS, R_OFFSET, u64, type ElfObject, type Offset, type SectionIndex } from '../../elf';
import type { ScanTable } from './table';

/**
 * Reads relas where they lie in the mapping.
 *
 * `select` leaves the word range of the relas that may lie in a byte range. Rela sections are nearly always in offset
 * order and are then searched; the linker does not promise it (`.initcall6.init` is not), so order is checked once a
 * section and an unordered one is read through a sorted copy.
 */
export class RelaReader {
  /** Words that hold the selected relas: [at, stop) in steps of RELA_WORDS. */
  words: Uint32Array;
  at = 0;
  stop = 0;
  private fileWord = 0;
  private readonly sorted = new Map<number, Uint32Array>();
  private readonly ordered = new Map<number, boolean>();

  constructor(
    private readonly object: ElfObject,
    private readonly table: ScanTable,
  ) {
    this.words = object.words;
  }

  /** Selects the relas of [start, end) of a section, by offset. Of a section with one symbol all are selected, whatever the range. */
  select(section: SectionIndex, start: number, end: number): this {
    const { object } = this;
    const { relaSection: relaSections, coverStart } = this.table;
    this.at = this.stop = 0;
    // COMMON is no section.
    if (section >= relaSections.length) return this;
    const relaSection = relaSections[section]!;
    if (relaSection === 0) return this;
    const offset = object.offset(relaSection);
    const count = (object.size(relaSection) / (RELA_WORDS * 4)) | 0;
    this.fileWord = offset >>> 2;
    if (object.mapsWords && (offset & 3) === 0) {
      this.words = object.words;
      this.at = offset >>> 2;
    } else {
      this.words = this.inOffsetOrder(relaSection);
      this.at = 0;
    }
    this.stop = this.at + count * RELA_WORDS;
    if (count <= 1) return this;
    // One function in its section, the common case: all relas are its own, and no search is worth it.
    const whole =
      (start === 0 && end === object.size(section)) || coverStart[section + 1]! - coverStart[section]! === 1;
    if (!(whole ? this.inOrder() : this.isOrdered(relaSection))) {
      this.words = this.inOffsetOrder(relaSection);
      this.at = 0;
      this.stop = count * RELA_WORDS;
    }
    if (!whole) {
      const first = this.at;
      this.at = this.lowerBound(first, this.stop, start);
      this.stop = this.lowerBound(this.at, this.stop, end);
    }
    return this;
  }

  /** File offset of the rela at word `at` of the current selection, for messages. */
  fileOffset(at: number): number {
    return this.words === this.object.words ? at * 4 : this.fileWord * 4 + at * 4;
  }

  private lowerBound(from: number, to: number, offset: Offset): number {
    let low = 0;
    let high = (to - from) / RELA_WORDS;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (u64(this.words, from + middle * RELA_WORDS + R_OFFSET) < offset) low = middle + 1;
      else high = middle;
    }
    return from + low * RELA_WORDS;
  }

  /** As `inOrder`, remembered: a shared section is asked once for every symbol in it. */
  private isOrdered(relaSection: number): boolean {
    let ordered = this.ordered.get(relaSection);
    if (ordered === undefined) {
      ordered = this.inOrder();
      this.ordered.set(relaSection, ordered);
    }
    return ordered;
  }

  private inOrder(): boolean {
    const { words, at, stop } = this;
    // Offsets above 4 GiB never occur; one that does makes the section count as unordered, which is only slower.
    let last = 0;
    for (let i = at; i < stop; i += RELA_WORDS) {
      const offset = words[i]!;
      if (offset < last || words[i + 1] !== 0) return false;
      last = offset;
    }
    return true;
  }

  /** A copy of a rela section in offset order; equal offsets keep file order. */
  inOffsetOrder(relaSection: number): Uint32Array {
    let sorted = this.sorted.get(relaSection);
    if (sorted === undefined) {
      const words = this.object.relas(relaSection);
      const order = Array.from({ length: words.length / RELA_WORDS }, (_, i) => i * RELA_WORDS);
      order.sort((a, b) => u64(words, a + R_OFFSET) - u64(words, b + R_OFFSET) || a - b);
      sorted = new Uint32Array(words.length);
      order.forEach((from, i) => sorted!.set(words.subarray(from, from + RELA_WORDS), i * RELA_WORDS));
      this.sorted.set(relaSection, sorted);
    }
    return sorted;
  }
}
