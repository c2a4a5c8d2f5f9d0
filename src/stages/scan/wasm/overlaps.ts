/** Refuses symbols that lie over each other: every one of them is read, so a small file of them would be hours of work. */
import { cover, firstCover, lastCover, sizeOf, startOf, traitsOf } from './columns';
import { fileSize, sectionType } from './file';
import { SHT_NOBITS, TRAIT_ALIAS, TRAIT_CONTENT } from '../generated/constants';
import { overlapping } from './host';
import * as relas from './relas';

const RELA: i64 = 24;

/**
 * How many times the file's bytes symbols may read anew; aliases are read once. In Linux 7.2 (Clang, ThinLTO) it is 0.0000005 times, in
 * Debian's 6.12 (GCC) 0.000006 times, in kpatch's unit-test objects of five processors not at all.
 */
export const MOST_OVERLAP: u32 = 4;

/** Bytes of contents and relas that belong to more than one symbol, as often as they are read again. */
export let again: i64 = 0;

/** Covers must be in order and aliases united. */
export function checkOverlaps(first: u32, last: u32): void {
  const most = <i64>fileSize * MOST_OVERLAP;
  for (let section = first; section < last; section++) {
    const to = lastCover(section);
    if (to - firstCover(section) < 2 || sectionType(section) == SHT_NOBITS) continue;
    let end: i64 = 0;
    for (let i = firstCover(section); i < to; i++) {
      const symbol = cover(i);
      if ((traitsOf(symbol) & (TRAIT_CONTENT | TRAIT_ALIAS)) != TRAIT_CONTENT) continue;
      const start = startOf(symbol);
      const stop = start + sizeOf(symbol);
      if (start < end) {
        relas.select(section, start, stop);
        again += stop - start + <i64>(relas.to - relas.from) * RELA;
        if (again > most) overlapping(section, symbol, MOST_OVERLAP);
      }
      end = max(end, stop);
    }
  }
}
