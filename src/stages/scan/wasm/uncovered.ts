/** Bytes of loaded sections that no sized symbol covers, apart from what only fills gaps up: see ../../compare/uncovered.ts. */
import {
  canonicalOf,
  classOf,
  cover,
  firstCover,
  gapped,
  highHash,
  info,
  kindOf,
  lastCover,
  lowHash,
  relasOf,
  sectionCell,
  sectionOf,
  sections,
  sizeOf,
  soleOf,
  startOf,
  symbolCell,
  symbols,
  traitsOf,
} from './columns';
import { DIGEST, bytes, finish, reset, words } from './digest';
import { byteAt, sectionName, sectionOffset, sectionSize, textEnd } from './file';
import { LEVELS, digests, ofRange } from './identity';
import * as relas from './relas';
import {
  CLASS_ALLOC,
  CLASS_ANONYMOUS,
  CLASS_CONSTANT,
  CLASS_DERIVED,
  CLASS_EXEC,
  CLASS_NOBITS,
  CLASS_RECORD,
  CLASS_REPLACEMENT,
  CLASS_SPECIAL,
  CLASS_STRING,
  CLASS_TOC,
  KIND_NONE,
  STT_SECTION,
  TRAIT_PREFIX,
} from '../generated/constants';

/** Bits of `gapped`: the section has a gap; symbols without a size stand in it. */
const GAP: u8 = 1;
const LABELS: u8 = 2;

/**
 * What is compared elsewhere: tables by their entries; records, strings, constants and Clang's unnamed data by who uses them; and what is
 * not loaded or made anew.
 */
const ELSEWHERE: u32 =
  CLASS_STRING |
  CLASS_CONSTANT |
  CLASS_SPECIAL |
  CLASS_DERIVED |
  CLASS_REPLACEMENT |
  CLASS_RECORD |
  CLASS_NOBITS |
  CLASS_TOC |
  CLASS_ANONYMOUS;

/** Marks a section whose covers are [from, to) if bytes lie between them, before the first or behind the last one. Nearly all of a kernel's 200,000 are one symbol. */
export function markGap(section: u32, from: u32, to: u32): void {
  if (hasGap(section, from, to)) store<u8>(sectionCell(gapped, section, 0), GAP);
}

function hasGap(section: u32, from: u32, to: u32): bool {
  const bits = classOf(section);
  if ((bits & CLASS_ALLOC) == 0 || (bits & ELSEWHERE) != 0) return false;
  const only = soleOf(section);
  if (only != 0) return startOf(only) != 0;
  let at: i64 = 0;
  for (let i = from; i < to; i++) {
    if (startOf(cover(i)) > at) return true;
    at = max(at, endOf(cover(i)));
  }
  return at < sectionSize(section);
}

// @ts-ignore: decorator
@inline
function endOf(symbol: u32): i64 {
  return startOf(symbol) + sizeOf(symbol);
}

/**
 * What a symbol that is no cover says. Padding with a name of its own (`__pfx_f`, `__cfi_f`) is the function's behind it: 45,000 sections
 * begin with nothing else.
 */
export function markBeside(symbol: u32): void {
  const section = sectionOf(symbol);
  if (section >= sections) return;
  const at = sectionCell(gapped, section, 0);
  if (load<u8>(at) == 0) return;
  if ((traitsOf(symbol) & TRAIT_PREFIX) != 0) {
    const only = soleOf(section);
    if (only != 0 && startOf(symbol) == 0 && startOf(only) == sizeOf(symbol)) store<u8>(at, 0);
  } else if (isLabel(symbol)) store<u8>(at, GAP | LABELS);
}

function isLabel(symbol: u32): bool {
  return (
    sizeOf(symbol) == 0 && kindOf(symbol) != KIND_NONE && (load<u8>(symbolCell(info, symbol, 0)) & 0xf) != STT_SECTION
  );
}

/** The next symbol from `from` on that is no cover and lies in a section with gaps: a label, or a name of padding. `symbols` at the end. */
export function nextBesideCovers(from: u32): u32 {
  for (let symbol = from; symbol < symbols; symbol++) {
    const section = sectionOf(symbol);
    if (section >= sections || load<u8>(sectionCell(gapped, section, 0)) == 0) continue;
    if ((traitsOf(symbol) & TRAIT_PREFIX) != 0 || isLabel(symbol)) return symbol;
  }
  return symbols;
}

const ANY_SECTION: u32 = 0xffffffff;

/** The next prefix from `from` on that lies in a section, or in any. `symbols` at the end. */
export function nextPrefix(from: u32, section: u32): u32 {
  for (let symbol = from; symbol < symbols; symbol++)
    if ((traitsOf(symbol) & TRAIT_PREFIX) != 0 && (section == ANY_SECTION || sectionOf(symbol) == section))
      return symbol;
  return symbols;
}

/** The gap that `nextGap` found, and the symbols before and behind it; 0 at the section's ends. */
export let section: u32 = 0;
export let start: i64 = 0;
export let end: i64 = 0;
export let before: u32 = 0;
export let behind: u32 = 0;
/** Cover behind the last gap; `last` when the section is done. */
let index: u32 = 0;
let last: u32 = 0;
let covered: i64 = 0;
let previous: u32 = 0;
let done: bool = true;

/**
 * Labels of sections with gaps: their places in order, `section << 32 | value` of each, then a sum over the names at each place, at its first
 * label. WebAssembly counts, lists and names them; the thread gives the memory and sorts.
 */
let labels: usize = 0;
let labelCount: u32 = 0;

export function countLabels(): u32 {
  labelCount = 0;
  for (let symbol: u32 = 1; symbol < symbols; symbol++) if (isListed(symbol)) labelCount++;
  return labelCount;
}

/** Lists the places in 16 zeroed bytes a label. */
export function listLabels(at: usize): void {
  labels = at;
  for (let symbol: u32 = 1; symbol < symbols; symbol++) {
    if (!isListed(symbol)) continue;
    store<u64>(at, placeOf(symbol));
    at += 8;
  }
}

/** The places must be in order now. */
export function nameLabels(): void {
  for (let symbol: u32 = 1; symbol < symbols; symbol++) {
    if (!isListed(symbol)) continue;
    const at = labels + ((labelCount + labelFrom(placeOf(symbol))) << 3);
    store<u64>(at, load<u64>(at) + (((<u64>highHash(symbol)) << 32) | lowHash(symbol)));
  }
}

function isListed(symbol: u32): bool {
  const home = sectionOf(symbol);
  return home < sections && (load<u8>(sectionCell(gapped, home, 0)) & LABELS) != 0 && isLabel(symbol);
}

function placeOf(symbol: u32): u64 {
  return ((<u64>sectionOf(symbol)) << 32) | <u64>startOf(symbol);
}

/** Number of the first label at a place or behind it. */
function labelFrom(place: u64): u32 {
  let low: u32 = 0;
  let high = labelCount;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (load<u64>(labels + (middle << 3)) < place) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Numbers of the first label in the gap, and of the one behind the last. What stands at a section's end is in its last gap. */
function firstLabel(): u32 {
  return labelFrom(((<u64>section) << 32) + <u64>start);
}

function lastLabel(): u32 {
  return labelFrom(((<u64>section) << 32) + <u64>(behind == 0 ? end + 1 : end));
}

/** Equal for gaps of equal bytes, references and labels, in sections of one name, behind symbols of one name. */
export function gapDigest(): usize {
  const content = ofRange(section, start, end, 0, 0);
  const digest = digests + LEVELS * DIGEST;
  reset(digest, classOf(section));
  words(digest, load<u32>(content), load<u32>(content, 4), load<u32>(content, 8), load<u32>(content, 12));
  const name = sectionName(section);
  bytes(digest, name, textEnd(name));
  if (before != 0) words(digest, lowHash(before), highHash(before), 0, 1);
  words(digest, <u32>(behind == 0 ? 1 : 0), <u32>(end - start), 0, 0);
  for (let i = firstLabel(); i < lastLabel(); i++) {
    const at = labels + (i << 3);
    const names = load<u64>(at + (labelCount << 3));
    words(digest, <u32>(load<u32>(at) - <u32>start), <u32>names, <u32>(names >> 32), 2);
  }
  finish(digest);
  return digest;
}

export function openGaps(): void {
  section = 0;
  done = true;
}

/** Goes on to the next gap that is more than filling; false at the end. */
export function nextGap(): bool {
  while (!done || openSection()) {
    while (index < last) {
      const symbol = cover(index++);
      start = covered;
      end = startOf(symbol);
      before = previous;
      behind = canonicalOf(symbol);
      if (endOf(symbol) >= covered) {
        covered = endOf(symbol);
        previous = behind;
      }
      if (end > start && !isFilled()) return true;
    }
    done = true;
    start = covered;
    end = sectionSize(section);
    before = previous;
    behind = 0;
    if (end > start && !isFilled()) return true;
  }
  return false;
}

function openSection(): bool {
  while (++section < sections) {
    if (load<u8>(sectionCell(gapped, section, 0)) == 0) continue;
    index = firstCover(section);
    last = lastCover(section);
    covered = 0;
    previous = 0;
    done = false;
    return true;
  }
  return false;
}

/** Whether the gap holds nothing but NOPs, or is zeros of data in which no label stands and no relocation's field lies. */
function isFilled(): bool {
  const from = sectionOffset(section) + <u32>start;
  const to = sectionOffset(section) + <u32>end;
  if ((classOf(section) & CLASS_EXEC) != 0) return nopsEnd(from, to) == to;
  for (let at = from; at < to; at++) if (byteAt(at) != 0) return false;
  if (firstLabel() < lastLabel()) return false;
  if (relasOf(section) == 0) return true;
  relas.select(section, start, end);
  for (let i = relas.from; i < relas.to; i++) {
    relas.read(relas.base, relas.sorted, i);
    if (<i64>relas.offset >= start && <i64>relas.offset < end) return false;
  }
  return true;
}

/** The processor's NOPs as `Filling.words` lays them out. */
export let nops: usize = 0;
export const NOPS: u32 = 256;

/** Where the NOPs end that begin at a file offset, `to` at most. */
function nopsEnd(from: u32, to: u32): u32 {
  const prefixes = load<u8>(nops);
  for (let at = from; at < to; ) {
    let first = at;
    while (first < to && isPrefix(byteAt(first), prefixes)) first++;
    const length = nopAt(nops + 1 + prefixes, first, to);
    if (length == 0) return at;
    at = first + length;
  }
  return to;
}

function isPrefix(byte: u32, prefixes: u32): bool {
  for (let i: u32 = 0; i < prefixes; i++) if (load<u8>(nops + 1 + i) == byte) return true;
  return false;
}

/** Length of the NOP at a file offset, of a list in which each has its length before it; 0 for none. */
function nopAt(list: usize, first: u32, to: u32): u32 {
  for (let at = list; load<u8>(at) != 0; at += 1 + load<u8>(at)) {
    const length: u32 = load<u8>(at);
    if (first + length > to) continue;
    let i: u32 = 0;
    while (i < length && byteAt(first + i) == load<u8>(at + 1 + i)) i++;
    if (i == length) return length;
  }
  return 0;
}
