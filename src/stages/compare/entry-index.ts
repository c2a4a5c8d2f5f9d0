import type { Identity } from '../scan';
import { forEachEntry, type SpecialEntry, type SpecialTable } from '../scan/entries';

/** Numbers of one entry: that of its table, site, start, and the words of its first and behind its last rela, from where the section's begin. */
const NUMBERS = 5;
/** Above every number of entries: a rela each, of 24 bytes, in a file of less than 2 GiB. */
const ENTRIES = 2 ** 27;

/**
 * The entries of special sections by the function that they describe. A kernel has 30,000. As objects those of a 1 GB object
 * took 100 MB, and a pass over the sections for each of 32 functions 3 s.
 */
export class EntryIndex {
  private numbers = new Float64Array(NUMBERS * 1024);
  /** Owner * ENTRIES + number of the entry, in order. */
  private readonly keys: Float64Array;

  constructor(private readonly identity: Identity, private readonly tables: readonly SpecialTable[]) {
    let keys = new Float64Array(1024);
    let count = 0;
    tables.forEach((table, number) => {
      const { at } = this.relasOf(table);
      forEachEntry(identity, table, ({ owner, site, start, relas }) => {
        if (count === keys.length) {
          const [more, wider] = [new Float64Array(count * 2), new Float64Array(count * 2 * NUMBERS)];
          more.set(keys);
          wider.set(this.numbers);
          [keys, this.numbers] = [more, wider];
        }
        keys[count] = owner * ENTRIES + count;
        this.numbers.set([number, site, start, relas.at - at, relas.stop - at], count * NUMBERS);
        count++;
      });
    });
    this.keys = keys.subarray(0, count).sort();
  }

  /** Those of a function, in table and file order. */
  of(owner: number): Array<{ table: SpecialTable; entry: SpecialEntry }> {
    const found: Array<{ table: SpecialTable; entry: SpecialEntry }> = [];
    for (let i = this.firstOf(owner); i < this.keys.length && this.keys[i]! < (owner + 1) * ENTRIES; i++) {
      const [number, site, start, first, stop] = this.numbers.subarray((this.keys[i]! % ENTRIES) * NUMBERS) as unknown as [number, number, number, number, number];
      const table = this.tables[number]!;
      const { words, at } = this.relasOf(table);
      found.push({ table, entry: { owner, site, start, relas: { words, at: at + first, stop: at + stop } } });
    }
    return found;
  }

  private firstOf(owner: number): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keys[middle]! < owner * ENTRIES) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The words of a table's relas; the reader is used for other sections in between. */
  private relasOf({ section }: SpecialTable): { words: Uint32Array; at: number } {
    const { words, at } = this.identity.relas.select(section, 0, this.identity.object.size(section));
    return { words, at };
  }
}
