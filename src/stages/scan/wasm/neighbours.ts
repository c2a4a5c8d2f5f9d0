/**
 * What else a reference by section and offset may mean than the object that lies at its place.
 *
 * The end of a loop over `tab` is the first byte behind it, where another variable begins (a different one in the next build); a loop over
 * the second member of a struct ends as far within that variable; `parse_pred` counts down from `ops - 8`, which lies in the object before.
 * Bytes do not tell, so a digest holds the neighbours that are near enough, too: equal digests then mean the same whatever is meant. Where
 * a neighbour changed, `compare` decodes and decides by evidence (../../places).
 */
import { DOUBTFUL_USE, REACH_BEFORE, REACH_BEHIND, TRAIT_AMBIGUOUS } from '../generated/constants';
import { file, highHash, lowHash, sectionOf, sizeOf, startOf, symbolCell, symbols, traitsOf } from './columns';
import { objectBefore, objectBehind } from './covers';
import { words } from './digest';
import { TAG_NEIGHBOUR } from './identity';
import * as relas from './relas';
import { note } from './uses';

/** Mixes the objects before and behind a place; `target` is what lies there, 0 for nothing. */
export function mixNeighbours(digest: usize, section: u32, offset: i64, target: u32, user: u32): void {
  const unit = user == 0 ? 0 : unitOf(user);
  let start = target != 0 ? startOf(target) : offset;
  for (
    let before = objectBefore(section, start);
    before != 0 && offset - startOf(before) - sizeOf(before) < <i64>REACH_BEHIND;
    before = objectBefore(section, start)
  ) {
    start = startOf(before);
    if (isForeign(before, unit)) continue;
    words(digest, TAG_NEIGHBOUR, lowHash(before), highHash(before), <u32>(offset - start));
  }
  const behind = objectBehind(section, offset);
  if (behind != 0 && behind != target && startOf(behind) - offset <= <i64>REACH_BEFORE && !isForeign(behind, unit)) {
    words(digest, TAG_NEIGHBOUR, lowHash(behind), highHash(behind), <u32>(offset - startOf(behind)));
  }
}

/** Whether an object is another unit's static one, which code of `unit` (0: not known) never means. */
function isForeign(symbol: u32, unit: u32): bool {
  const own = unitOf(symbol);
  return unit != 0 && own != 0 && own != unit;
}

/** The FILE symbol of a local one, 0 for others. */
function unitOf(symbol: u32): u32 {
  return load<u32>(symbolCell(file, symbol, 2));
}

/** Whether one object ends where `target` begins, and the place is there. */
export function isBetween(section: u32, offset: i64, target: u32): bool {
  if (offset != startOf(target)) return false;
  const before = objectBefore(section, offset);
  return before != 0 && startOf(before) + sizeOf(before) == offset;
}

/** The relas among which the one stands that is being mixed, number `self`: what `mayMeanBefore` looks at. */
let base: u32 = 0;
let sorted: usize = 0;
let from: u32 = 0;
let to: u32 = 0;
let self: u32 = 0;

// @ts-ignore: decorator
@inline
export function among(relaBase: u32, relaSorted: usize, first: u32, last: u32, index: u32): void {
  base = relaBase;
  sorted = relaSorted;
  from = first;
  to = last;
  self = index;
}

/** More bytes than a field and what may stand behind it: how far a %rip operand's addend may lie before the place. */
const LONGEST_BIAS: i64 = 8;

/** No array that anybody goes through up to its end: a flag, a pointer (1,500 `___tp_str`, one beside the other). */
const NO_ARRAY: i64 = 8;

/**
 * Whether the end of the object before `target` can be of use to who refers to it: where something of that object is referred to, too.
 * Then the use is nobody's evidence.
 */
export function mayMeanBefore(section: u32, target: u32): bool {
  const before = objectBefore(section, startOf(target));
  if (before == 0 || sizeOf(before) <= NO_ARRAY) return false;
  const start = startOf(before);
  const end = start + sizeOf(before);
  for (let i = from; i < to; i++) {
    if (i == self) continue;
    relas.read(base, sorted, i);
    const symbol = relas.symbol;
    if (symbol >= symbols || sectionOf(symbol) != section) continue;
    const place = startOf(symbol) + relas.addend;
    if (place + LONGEST_BIAS >= start && place < end) return true;
  }
  return false;
}

/** Notes that one of two objects is used, as far as their names prove nothing: it must be looked at, and is no evidence. */
export function noteBoth(user: u32, slot: u32, section: u32, target: u32): void {
  const before = objectBefore(section, startOf(target));
  if ((traitsOf(target) & TRAIT_AMBIGUOUS) != 0) note(user, slot, target | DOUBTFUL_USE);
  if ((traitsOf(before) & TRAIT_AMBIGUOUS) != 0) note(user, slot, before | DOUBTFUL_USE);
}
