/**
 * The relas of a byte range. Rela sections are nearly always in offset order and are then searched; the linker does not promise it
 * (`.initcall6.init` is not), so order is checked once a section and an unordered one is read through a sorted copy.
 */
import { firstCover, lastCover, relasOf, sectionCell } from './columns';
import { longOf, pointer, sectionOffset, sectionSize } from './file';
import { sortRelas } from './host';

const RELA: u32 = 24;

/** By rela section: 1 where it is known to be in order, 2 where it is not. */
export let orders: usize = 0;

/** What `select` leaves: records [from, to) of the rela section, which lie in the file from `base` on, or in memory from `sorted` on. */
export let from: u32 = 0;
export let to: u32 = 0;
export let base: u32 = 0;
export let sorted: usize = 0;

/** What `read` leaves. */
export let offset: u64 = 0;
export let type: u32 = 0;
export let symbol: u32 = 0;
export let addend: i64 = 0;

// @ts-ignore: decorator
@inline
export function read(base: u32, sorted: usize, index: u32): void {
  if (sorted != 0) {
    const at = sorted + index * RELA;
    offset = load<u64>(at);
    type = load<u32>(at, 8);
    symbol = load<u32>(at, 12);
    addend = load<i64>(at, 16);
    return;
  }
  const at = pointer(base + index * RELA, RELA);
  offset = longOf(at);
  const info = longOf(at + 8);
  type = <u32>info;
  symbol = <u32>(info >> 32);
  addend = longOf(at + 16);
}

// @ts-ignore: decorator
@inline
function offsetOf(index: u32): u64 {
  return sorted != 0 ? load<u64>(sorted + index * RELA) : longOf(pointer(base + index * RELA, RELA));
}

/** Selects the relas of [start, end) of a section, by offset. Of a section with one symbol all are selected, whatever the range. */
export function select(section: u32, start: i64, end: i64): void {
  from = to = 0;
  sorted = 0;
  const relas = relasOf(section);
  if (relas == 0) return;
  base = sectionOffset(relas);
  to = <u32>(<u64>sectionSize(relas) / RELA);
  if (to <= 1) return;
  // One function in its section, the common case: all relas are its own, and no search is worth it.
  const whole = lastCover(section) - firstCover(section) == 1 || (start == 0 && end == sectionSize(section));
  if (!inOrder(relas)) sorted = sortRelas(relas);
  if (whole) return;
  from = lowerBound(0, to, start);
  to = lowerBound(from, to, end);
}

function lowerBound(low: u32, high: u32, limit: i64): u32 {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (<i64>offsetOf(middle) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function inOrder(relas: u32): bool {
  const known = load<u8>(sectionCell(orders, relas, 0));
  if (known != 0) return known == 1;
  let last: u64 = 0;
  let ordered = true;
  for (let i: u32 = 0; i < to && ordered; i++) {
    const offset = longOf(pointer(base + i * RELA, RELA));
    // Offsets above 4 GiB never occur; one that does makes the section count as unordered, which is only slower.
    ordered = offset >= last && offset >> 32 == 0;
    last = offset;
  }
  store<u8>(sectionCell(orders, relas, 0), ordered ? 1 : 2);
  return ordered;
}
