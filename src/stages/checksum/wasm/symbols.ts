/** Fills the symbol columns. */
import { SHN_LORESERVE, SHN_XINDEX, STT_SECTION, STT_FUNC, STB_LOCAL } from '../generated/constants';
import { symbolNameOutside, symbolSection } from './host';
import {
  bindingOf,
  canonicalOf,
  extended,
  file,
  firstPlaced,
  homeOf,
  lastPlaced,
  ownType,
  parentOf,
  place,
  placedAt,
  placedFrom,
  record,
  sectionCell,
  sections,
  setCanonical,
  setHome,
  setNameLength,
  setReach,
  setSize,
  sizeOf,
  stringsEnd,
  stringsStart,
  valueOf,
} from './memory';
import { endOf, plainLength } from './names';
import { noteCold } from './cold';
import { sort } from './order';

export function readSymbols(from: u32, to: u32): void {
  for (let symbol = from; symbol < to; symbol++) {
    const at = record(symbol);
    if (<u64>stringsStart + load<u32>(at) >= stringsEnd) symbolNameOutside(symbol);
    const section = sectionOf(symbol, load<u16>(at, 6));
    setHome(symbol, section);
    setCanonical(symbol, symbol);
    setSize(symbol, load<i64>(at, 16));
    const end = endOf(symbol);
    setNameLength(symbol, plainLength(symbol, end));
    if (section == 0 || ownType(symbol) == STT_SECTION) continue;
    addTo(section, 1);
    noteCold(symbol, end);
  }
}

/** Section of a symbol; 0 where it has none (undefined, absolute, common). */
function sectionOf(symbol: u32, short: u32): u32 {
  if (short >= SHN_LORESERVE && short != SHN_XINDEX) return 0;
  const index = short != SHN_XINDEX ? short : extended == 0 ? sections : load<u32>(file + extended + (symbol << 2));
  if (index >= sections) symbolSection(symbol, index);
  return index;
}

let total: u32 = 0;

/** Second step: placedFrom[s + 1] counts section s so far; from now on it says where it begins. */
export function startPlaced(): void {
  total = 0;
  for (let section: u32 = 0; section < sections; section++) total += addTo(section, total - lastPlaced(section));
}

/** Third step: it comes to say where the section ends, as it fills. */
export function placeSymbols(from: u32, to: u32): void {
  for (let symbol = from; symbol < to; symbol++)
    if (homeOf(symbol) != 0 && ownType(symbol) != STT_SECTION) place(addTo(homeOf(symbol), 1), symbol);
}

function addTo(section: u32, more: u32): u32 {
  const at = sectionCell(placedFrom, section, 2);
  const before = load<u32>(at, 4);
  store<u32>(at, before + more, 4);
  return before;
}

/** Last step: puts each section's symbols in the order of places, those of one place in the table's, and finds those that stand for others. */
export function orderPlaced(from: u32, to: u32): void {
  for (let section = from; section < to; section++) {
    const first = firstPlaced(section);
    const last = lastPlaced(section);
    if (last - first < 2) continue;
    sort(first, last, placedAt, place, isBefore);
    for (let at = first; at < last; ) {
      let next = at + 1;
      while (next < last && valueOf(placedAt(next)) == valueOf(placedAt(at))) next++;
      if (next - at > 1) unite(at, next);
      at = next;
    }
  }
}

function isBefore(a: u32, b: u32): bool {
  const byValue = valueOf(a) - valueOf(b);
  return byValue != 0 ? valueOf(a) < valueOf(b) : a < b;
}

/** Of several names for one thing the last counts. */
function unite(first: u32, last: u32): void {
  sort(first, last, placedAt, place, isBeforeOfKind);
  for (let i = last - 1; i > first; i--) {
    const a = placedAt(i - 1);
    const b = placedAt(i);
    if (ownType(a) == ownType(b) && sizeOf(a) == sizeOf(b)) setCanonical(a, canonicalOf(b));
  }
  sort(first, last, placedAt, place, isBefore);
}

function isBeforeOfKind(a: u32, b: u32): bool {
  if (ownType(a) != ownType(b)) return ownType(a) < ownType(b);
  return sizeOf(a) != sizeOf(b) ? sizeOf(a) < sizeOf(b) : a < b;
}

/** Fills in how far the symbols up to each reach; cold parts must be known. */
export function reachPlaced(from: u32, to: u32): void {
  for (let section = from; section < to; section++) {
    let reach: i64 = 0;
    for (let i = firstPlaced(section); i < lastPlaced(section); i++) {
      reach = max(reach, valueOf(placedAt(i)) + sizeOf(placedAt(i)));
      setReach(i, reach);
    }
  }
}

/** Cold parts are functions, whatever the table says. */
// @ts-ignore: decorator
@inline
export function typeOf(symbol: u32): u32 {
  return parentOf(symbol) != 0 ? STT_FUNC : ownType(symbol);
}

/** The function that a symbol is a part of, or itself. */
export function whole(symbol: u32): u32 {
  const parent = parentOf(symbol);
  return parent != 0 ? parent : symbol;
}

export function isLocal(symbol: u32): bool {
  return bindingOf(symbol) == STB_LOCAL;
}
