/** What tells the entry size of a special section; see ../entry-size.ts. */
import { classOf, sectionOf, sections, startOf, symbols } from './columns';
import { pointer, sectionOffset, sectionSize, wordOf } from './file';
import { CLASS_EXEC } from '../generated/constants';
import * as relas from './relas';

/** Type of an annotation that marks the start of an entry. */
const ENTRY_ANNOTATION: u32 = 1;

/**
 * Whether entries of `size` bytes have one reference to code each at offset `site`, and elsewhere only at the offsets that `known` has a
 * bit for, one for every two bytes.
 */
export function fits(section: u32, size: u32, site: u32, known: u32): bool {
  const total = sectionSize(section);
  relas.select(section, 0, total);
  let sites: i64 = 0;
  for (let i = relas.from; i < relas.to; i++) {
    relas.read(relas.base, relas.sorted, i);
    if (relas.symbol >= symbols) return false;
    const target = sectionOf(relas.symbol);
    const code = target < sections && (classOf(target) & CLASS_EXEC) != 0;
    // The low word: a table of 4 GiB there is not.
    const field = <u32>relas.offset % size;
    if (field == site) {
      if (!code) return false;
      sites++;
    } else if (code && (field >= 64 || (field & 1) != 0 || ((known >>> (field >>> 1)) & 1) == 0)) return false;
  }
  return sites == (total + size - 1) / size;
}

/** The spacing of the entries of `section` that the annotations in the section `annotations` mark; 0 where it is not even. */
export function annotatedSize(section: u32, annotations: u32): u32 {
  const total = sectionSize(section);
  const content = sectionOffset(annotations);
  const length = sectionSize(annotations);
  relas.select(annotations, 0, length);
  let count: i64 = 0;
  // What all starts are multiples of.
  let step: i64 = 0;
  for (let i = relas.from; i < relas.to; i++) {
    relas.read(relas.base, relas.sorted, i);
    if (relas.symbol >= symbols || sectionOf(relas.symbol) != section || relas.offset + 8 > <u64>length) continue;
    const start = startOf(relas.symbol) + relas.addend;
    if (wordOf(pointer(content + <u32>relas.offset + 4, 4)) != ENTRY_ANNOTATION) continue;
    count++;
    step = commonDivisor(start, step);
  }
  if (count == 0 || total % count != 0) return 0;
  const size = total / count;
  return step % size == 0 && size <= 0xffff ? <u32>size : 0;
}

function commonDivisor(a: i64, b: i64): i64 {
  while (b != 0) {
    const rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}
