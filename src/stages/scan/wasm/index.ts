/**
 * What of scan goes over every byte, rela and name of an object, in AssemblyScript for WebAssembly.
 *
 * JavaScript would do it nearly as fast, once V8 has compiled it: that takes half of a run's processor time, in each thread anew. This is
 * compiled when klpflow is built. It works on the columns where they lie in shared memory, and on the file page by page.
 *
 * Functions that take a range are called for a few thousand at a time: V8 puts optimised code in place of its first, quick one between calls.
 */
import { cover, digest as digestColumn, symbolCell, traitsOf } from './columns';
import { coverAt as coverOf, objectAt as objectOf, objectBefore as beforeOf, objectBehind as behindOf } from './covers';
import { DIGEST, finish, reset } from './digest';
import * as entries from './entries';
import { TRAIT_ALIAS, TRAIT_CONTENT } from '../generated/constants';
import { LEVELS, digests, findTocRela, mixTarget, ofRange, ofSymbol, setAlone, surface } from './identity';
import * as uncovered from './uncovered';
import { flush, forget } from './uses';

export * from './columns';
// Sizes of what a thread must give.
export { NEXT, PAGE_BITS } from './file';
export { MEMO } from './memo';
export { USES } from './uses';
export { DIGEST } from './digest';
export { LEVELS } from './identity';
export { LONGEST } from './names';
export { GAPS, LONGEST_PLAIN } from './rust-names';
export { RULES } from './entries';

// What it sets first.
export { big, fileSize, frameCount, frames, headers, namesEnd, namesStart, owners, pages } from './file';
export { orders } from './relas';
export { memo } from './memo';
export { uses } from './uses';
export { longName } from './names';
export { gaps, plainName } from './rust-names';
export { extended, stringsEnd, stringsStart, symtab } from './symbols';
export { anchored, branch, digests, tails } from './identity';
export { markTargets, openTable, rules } from './entries';
export { annotatedSize, fits } from './entry-size';
export { NOPS, nops } from './uncovered';

// The table, in this order.
export { classifySections, placeSections } from './sections';
export { nextNamed, readSymbols } from './symbols';
export { openName } from './names';
export { countCovers, orderCovers, placeCovers, startCovers } from './order';
export { again, checkOverlaps } from './overlaps';
export { clearSlots, markAmbiguous } from './ambiguity';
export { deriveSections, deriveSymbols } from './derive';
export { countLabels, listLabels, nameLabels, nextBesideCovers, nextPrefix, openGaps } from './uncovered';

/** Entries for the caller, ENTRY_NUMBERS each, as ../entries.ts reads them. */
export let entryBatch: usize = 0;
export const ENTRY_NUMBERS: u32 = 5;
/** Most that `nextEntries` finds. */
export const BATCH_ENTRIES: u32 = 1024;
export const GAP_NUMBERS: u32 = 9;
const BATCH_GAPS: u32 = (BATCH_ENTRIES * ENTRY_NUMBERS) / GAP_NUMBERS;

/** Forgets what a call that failed left. Every call that digests begins with it. */
function begin(): void {
  surface();
  forget();
}

/** Fills the digests of the content symbols among covers [from, to), which is the order of the file. */
export function digestCovers(from: u32, to: u32): void {
  begin();
  for (let i = from; i < to; i++) {
    const symbol = cover(i);
    if ((traitsOf(symbol) & (TRAIT_CONTENT | TRAIT_ALIAS)) != TRAIT_CONTENT) continue;
    memory.copy(symbolCell(digestColumn, symbol, 4), ofSymbol(symbol, symbol, 0), 16);
  }
  flush();
}

export function digestEntries(): void {
  begin();
  entries.digestEntries();
  flush();
}

/** Pointer to the digest of bytes [start, end) of a section. */
export function digestRange(section: u32, start: f64, end: f64): usize {
  begin();
  return ofRange(section, <i64>start, <i64>end, 0, 0);
}

/** Pointer to the digest of what lies where a rela refers to, whatever lies beside it; see `mixTarget`. */
export function digestTarget(symbol: u32, section: u32, offset: f64, type: u32, addend: f64, tail: i32): usize {
  begin();
  const digest = digests + LEVELS * DIGEST;
  reset(digest, 0);
  setAlone(true);
  mixTarget(digest, symbol, section, <u32>(<i64>offset), type, <i64>addend, 0, 0, tail);
  setAlone(false);
  finish(digest);
  return digest;
}

/** Goes on through the open table's entries and leaves the numbers of some in `entryBatch`; returns how many, 0 at the end. */
export function nextEntries(): u32 {
  let found: u32 = 0;
  while (found < BATCH_ENTRIES && entries.nextEntry()) {
    const at = entryBatch + found * ENTRY_NUMBERS * 8;
    store<f64>(at, entries.owner);
    store<f64>(at, <f64>entries.site, 8);
    store<f64>(at, <f64>entries.start, 16);
    store<f64>(at, entries.first, 24);
    store<f64>(at, entries.last, 32);
    found++;
  }
  return found;
}

/** As `nextEntries`, of gaps: section, start, end, the symbols before and behind, and the digest; GAP_NUMBERS each. */
export function nextGaps(): u32 {
  begin();
  let found: u32 = 0;
  while (found < BATCH_GAPS && uncovered.nextGap()) {
    const at = entryBatch + found * GAP_NUMBERS * 8;
    store<f64>(at, uncovered.section);
    store<f64>(at, <f64>uncovered.start, 8);
    store<f64>(at, <f64>uncovered.end, 16);
    store<f64>(at, uncovered.before, 24);
    store<f64>(at, uncovered.behind, 32);
    const digest = uncovered.gapDigest();
    for (let i: usize = 0; i < 4; i++) store<f64>(at + (i << 3), load<u32>(digest + (i << 2)), 40);
    found++;
  }
  return found;
}

/** Pointer to the digest of the entry of the open table whose numbers stand first in `entryBatch`. It keeps no account of uses. */
export function digestEntry(): usize {
  begin();
  return entries.digestEntry(
    <u32>load<f64>(entryBatch),
    <i64>load<f64>(entryBatch, 8),
    <i64>load<f64>(entryBatch, 16),
    <u32>load<f64>(entryBatch, 24),
    <u32>load<f64>(entryBatch, 32),
    0,
  );
}

export function coverAt(section: u32, offset: f64): u32 {
  return coverOf(section, <i64>offset);
}

export function objectAt(section: u32, offset: f64): u32 {
  return objectOf(section, <i64>offset);
}

export function objectBefore(section: u32, offset: f64): u32 {
  return beforeOf(section, <i64>offset);
}

export function objectBehind(section: u32, offset: f64): u32 {
  return behindOf(section, <i64>offset);
}

/** Number of the rela of a TOC entry, in offset order; -1 for a constant. */
export function tocRela(section: u32, offset: f64): i32 {
  return findTocRela(section, <i64>offset);
}
