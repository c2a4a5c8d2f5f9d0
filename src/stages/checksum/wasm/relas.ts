/** Relocations by place. Assemblers do not sort them, so every table is looked at in the order of places. */
import { contentOf, lengthOf, orders, relasOf, sectionCell, symbols } from './memory';
import { orderRelas, relaSymbol } from './host';

const RELA: u32 = 24;
/** In `orders`: the file's order is that of places. */
const IN_ORDER: u32 = 1;

/** What `first` and `next` leave. */
export let offset: i64 = 0;
export let type: u32 = 0;
export let symbol: u32 = 0;
export let addend: i64 = 0;

/** The section that is open. */
let latest: u32 = 0;
let table: u32 = 0;
let base: usize = 0;
let order: usize = 0;
let count: u32 = 0;
/** Which of its relas was found last. */
let cursor: u32 = 0;

function open(section: u32): void {
  latest = section;
  cursor = 0;
  count = 0;
  table = relasOf(section);
  if (table == 0) return;
  base = contentOf(table);
  count = lengthOf(table) / RELA;
  const known = sectionCell(orders, table, 2);
  let found = atomic.load<u32>(known);
  if (found == 0) {
    found = inOrder() ? IN_ORDER : <u32>orderRelas(table);
    atomic.store<u32>(known, found);
  }
  order = found == IN_ORDER ? 0 : <usize>found;
}

function inOrder(): bool {
  let last: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const offset = load<u64>(base + i * RELA);
    if (offset < last) return false;
    last = offset;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function numberOf(index: u32): u32 {
  return order == 0 ? index : load<u32>(order + (index << 2));
}

// @ts-ignore: decorator
@inline
function placeOf(index: u32): i64 {
  return load<i64>(base + numberOf(index) * RELA);
}

/** Finds the first relocation at `from` or behind it and before `to`; false where there is none. */
export function first(section: u32, from: i64, to: i64): bool {
  if (section != latest) open(section);
  if (count == 0) return false;
  // Who goes through code asks for one place after another.
  if (
    (cursor > 0 && placeOf(cursor - 1) >= from) ||
    (cursor < count && placeOf(cursor) < from && ++cursor < count && placeOf(cursor) < from)
  )
    cursor = startOf(from);
  return cursor < count && read(to);
}

/** Goes on to the relocation behind the one that was found, if it is before `to`. */
export function next(section: u32, to: i64, after: u32): bool {
  if (section != latest) open(section);
  cursor = after + 1;
  return cursor < count && read(to);
}

/** Number of the relocation that was found, for `next`. */
export function at(): u32 {
  return cursor;
}

function read(to: i64): bool {
  const number = numberOf(cursor);
  const record = base + number * RELA;
  offset = load<i64>(record);
  if (offset >= to) return false;
  symbol = load<u32>(record, 12);
  if (symbol >= symbols) relaSymbol(table, number, symbol);
  type = load<u32>(record, 8);
  addend = load<i64>(record, 16);
  return true;
}

function startOf(from: i64): u32 {
  let low: u32 = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (placeOf(middle) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}
