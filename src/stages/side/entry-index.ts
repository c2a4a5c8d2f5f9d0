import type { Identity } from '../scan';
import { ENTRY_NUMBERS, entryOf, nextEntries, openTable, type SpecialEntry, type SpecialTable } from '../scan/entries';

/** Above every number of entries: a rela each, of 24 bytes, in a file of less than 2 GiB. */
const MOST_ENTRIES = 2 ** 27;

/**
 * The entries of special sections by the function that they describe. A kernel has 30,000. As objects those of a 1 GB object
 * took 100 MB, and a pass over the sections for each of 32 functions 3 s.
 */
export class EntryIndex {
  /** ENTRY_NUMBERS of each. */
  private readonly numbers: Float64Array;
  /** Number of each table's first entry. */
  private readonly firsts: number[] = [];
  /** Owner * MOST_ENTRIES + number of the entry, in order. */
  private readonly keys: Float64Array;

  constructor(
    private readonly identity: Identity,
    private readonly tables: readonly SpecialTable[],
  ) {
    const parts: Float64Array[] = [];
    let length = 0;
    for (const table of tables) {
      this.firsts.push(length / ENTRY_NUMBERS);
      openTable(identity, table);
      for (let found = nextEntries(identity); found.length > 0; found = nextEntries(identity)) {
        parts.push(found);
        length += found.length;
      }
    }
    this.numbers = new Float64Array(length);
    let at = 0;
    for (const part of parts) {
      this.numbers.set(part, at);
      at += part.length;
    }
    this.keys = new Float64Array(length / ENTRY_NUMBERS);
    for (let i = 0; i < this.keys.length; i++) this.keys[i] = this.numbers[i * ENTRY_NUMBERS]! * MOST_ENTRIES + i;
    this.keys.sort();
  }

  /** Those of a function, in table and file order. */
  of(owner: number): Array<{ table: SpecialTable; entry: SpecialEntry }> {
    const found: Array<{ table: SpecialTable; entry: SpecialEntry }> = [];
    for (let i = this.firstOf(owner); i < this.keys.length && this.keys[i]! < (owner + 1) * MOST_ENTRIES; i++) {
      const number = this.keys[i]! % MOST_ENTRIES;
      const table = this.tables[this.firsts.findLastIndex((first) => first <= number)]!;
      const { words, at } = this.identity.relas.select(table.section, 0, this.identity.object.size(table.section));
      found.push({ table, entry: entryOf(this.numbers, number * ENTRY_NUMBERS, words, at) });
    }
    return found;
  }

  private firstOf(owner: number): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keys[middle]! < owner * MOST_ENTRIES) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
