/** Indexes the sized symbols of every section by address, and unites aliases. */
import {
  addTrait,
  canonical,
  cover,
  coverStart,
  covers,
  firstCover,
  highHash,
  lastCover,
  lowHash,
  sectionCell,
  sectionOf,
  sections,
  sizeOf,
  startOf,
  symbolCell,
  traitsOf,
} from './columns';
import {
  TRAIT_ALIAS,
  TRAIT_CONTENT,
  TRAIT_CORRELATABLE,
  TRAIT_FUNC,
  TRAIT_OBJECT,
  TRAIT_PREFIX,
} from '../generated/constants';

/**
 * A counting sort by section, then by (value, size) within one: most sections hold a single function, so the inner
 * sort nearly never runs. Aliases (same section, value, size) get one canonical symbol, the one with the smallest
 * base-name hash: unlike the order of the symbol table this does not change when a patch reorders them.
 */
export function countCovers(from: u32, to: u32): void {
  for (let symbol = from; symbol < to; symbol++) if (isCover(symbol)) addTo(sectionOf(symbol), 1);
}

let total: u32 = 0;

/** Second step: coverStart[s + 1] counts section s so far; from now on it says where it begins. */
export function startCovers(from: u32, to: u32): void {
  for (let s = from; s < to; s++) total += addTo(s, total - lastCover(s));
}

/** Third step: it comes to say where the section ends, as it fills. */
export function placeCovers(from: u32, to: u32): void {
  for (let symbol = from; symbol < to; symbol++) if (isCover(symbol)) put(addTo(sectionOf(symbol), 1), symbol);
}

function addTo(s: u32, more: u32): u32 {
  const at = sectionCell(coverStart, s, 2);
  const before = load<u32>(at, 4);
  store<u32>(at, before + more, 4);
  return before;
}

/** Last step. */
export function orderCovers(first: u32, last: u32): void {
  for (let s = first; s < last; s++) {
    const from = firstCover(s);
    const to = lastCover(s);
    if (to - from < 2) continue;
    sort(from, to);
    uniteAliases(from, to);
  }
}

/** Sized and defined in a section; padding belongs to the function behind it. */
function isCover(symbol: u32): bool {
  const bits = traitsOf(symbol);
  return (
    (bits & (TRAIT_FUNC | TRAIT_OBJECT | TRAIT_CONTENT)) != 0 &&
    (bits & TRAIT_PREFIX) == 0 &&
    sizeOf(symbol) > 0 &&
    sectionOf(symbol) < sections
  );
}

function isBefore(a: u32, b: u32): bool {
  const byValue = startOf(a) - startOf(b);
  if (byValue != 0) return byValue < 0;
  const bySize = sizeOf(b) - sizeOf(a);
  return bySize != 0 ? bySize < 0 : a < b;
}

// @ts-ignore: decorator
@inline
function put(index: u32, symbol: u32): void {
  store<u32>(symbolCell(covers, index, 2), symbol);
}

/** A heap sort of covers[from .. to), which mostly are in order: 100,000 functions may share one .text. */
function sort(from: u32, to: u32): void {
  let ordered: bool = true;
  for (let i = from + 1; i < to && ordered; i++) ordered = isBefore(cover(i - 1), cover(i));
  if (ordered) return;
  const count = to - from;
  for (let root = count >>> 1; root > 0; root--) sink(from, root - 1, count);
  for (let last = count - 1; last > 0; last--) {
    const greatest = cover(from);
    put(from, cover(from + last));
    put(from + last, greatest);
    sink(from, 0, last);
  }
}

function sink(from: u32, root: u32, count: u32): void {
  const symbol = cover(from + root);
  for (;;) {
    let child = root * 2 + 1;
    if (child >= count) break;
    if (child + 1 < count && isBefore(cover(from + child), cover(from + child + 1))) child++;
    if (!isBefore(symbol, cover(from + child))) break;
    put(from + root, cover(from + child));
    root = child;
  }
  put(from + root, symbol);
}

function uniteAliases(from: u32, to: u32): void {
  for (let first = from; first < to; ) {
    let last = first + 1;
    while (last < to && samePlace(cover(last), cover(first))) last++;
    if (last - first > 1) {
      let chosen = cover(first);
      for (let i = first + 1; i < last; i++) if (standsBefore(cover(i), chosen)) chosen = cover(i);
      for (let i = first; i < last; i++) {
        const symbol = cover(i);
        store<u32>(symbolCell(canonical, symbol, 2), chosen);
        if (symbol != chosen) addTrait(symbol, TRAIT_ALIAS);
      }
    }
    first = last;
  }
}

function samePlace(a: u32, b: u32): bool {
  return startOf(a) == startOf(b) && sizeOf(a) == sizeOf(b);
}

/** Functions and objects stand for NOTYPE labels, correlatable symbols for the others; then the hash decides. */
function standsBefore(a: u32, b: u32): bool {
  const rankA = rank(a);
  const rankB = rank(b);
  if (rankA != rankB) return rankA < rankB;
  const lowA = lowHash(a);
  const lowB = lowHash(b);
  return lowA != lowB ? lowA < lowB : highHash(a) < highHash(b);
}

function rank(symbol: u32): u32 {
  const bits = traitsOf(symbol);
  return ((bits & (TRAIT_FUNC | TRAIT_OBJECT)) != 0 ? 0 : 2) + ((bits & TRAIT_CORRELATABLE) != 0 ? 0 : 1);
}
