/** Entries of special sections: what they say of the function whose code they describe. */
import {
  addTrait,
  classOf,
  lines as linesColumn,
  relasOf,
  sectionOf,
  sections,
  sizeOf,
  special as specialColumn,
  startOf,
  symbolCell,
  symbols,
  traitsOf,
} from './columns';
import { coverAt, objectAt } from './covers';
import { DIGEST, bytes, finish, reset, words } from './digest';
import { big, byteAt, pointer, sectionName, sectionOffset, sectionSize, textEnd, wordOf } from './file';
import { CLASS_RECORD, CLASS_SPECIAL, TRAIT_FUNC } from '../generated/constants';
import { relaOutside, relaSymbol } from './host';
import { LEVELS, digests, mixReferences, mixTarget } from './identity';
import { lineBits, lineIn } from './records';
import * as relas from './relas';

/** The rules of one table as i32 words; `openTable` of ../entries.ts writes them. */
export let rules: usize = 0;
const SECTION = 0;
const NUMBER = 1;
const SIZE = 2;
const SITE = 3;
/** Field and length's offset of a replacement, -1 for none. */
const REPLACEMENT = 4;
const LENGTH = 5;
/** Offset of a u16 source line, -1 for none. */
const LINE = 6;
/** Whether the section's name is part of the meaning. */
const NAMED = 7;
/** Up to two byte ranges that decide the meaning, and two fields that refer to something; -1 for none. */
const MEANING = 8;
const REFERENCES = 12;
/** The bit of the u16 behind a replacement's field that makes it a function which writes the code; 0 for none. */
const CALLBACK = 14;
export const RULES = 15;

// @ts-ignore: decorator
@inline
function rule(index: u32): i32 {
  return load<i32>(rules + (index << 2));
}

/** One entry: which function it describes and where in it, its byte offset, and its relas' numbers [first, last). */
export let owner: u32 = 0;
export let site: i64 = 0;
export let start: i64 = 0;
export let first: u32 = 0;
export let last: u32 = 0;

let total: i64 = 0;
let base: u32 = 0;
let sorted: usize = 0;
let next: u32 = 0;
let stop: u32 = 0;
let nameHash: u32 = 0;

/** Begins with the table that `rules` describes. */
export function openTable(): void {
  const section = <u32>rule(SECTION);
  total = sectionSize(section);
  relas.select(section, 0, total);
  base = relas.base;
  sorted = relas.sorted;
  next = relas.from;
  stop = relas.to;
  nameHash = 0;
  if (rule(NAMED) != 0) {
    const name = sectionName(section);
    reset(scratch(), 0);
    bytes(scratch(), name, textEnd(name));
    finish(scratch());
    nameHash = load<u32>(scratch());
  }
}

// @ts-ignore: decorator
@inline
function scratch(): usize {
  return digests + LEVELS * DIGEST;
}

/** Goes to the next entry whose site lies in a known function; false at the end. */
export function nextEntry(): bool {
  const section = <u32>rule(SECTION);
  const size = <i64>rule(SIZE);
  while (next < stop) {
    first = next;
    owner = 0;
    site = 0;
    relas.read(base, sorted, next);
    if (relas.offset >= <u64>total) relaOutside(relasOf(section), next, <f64>relas.offset, section);
    start = (<i64>relas.offset / size) * size;
    for (;;) {
      if (relas.symbol >= symbols) relaSymbol(relasOf(section), next, relas.symbol);
      if (<i64>relas.offset == start + rule(SITE)) {
        const target = sectionOf(relas.symbol);
        if (target < sections) {
          const place = startOf(relas.symbol) + relas.addend;
          owner = objectAt(target, place);
          site = place - startOf(owner);
        }
      }
      next++;
      if (next == stop) break;
      relas.read(base, sorted, next);
      if (relas.offset >= <u64>(start + size)) break;
    }
    last = next;
    if (owner != 0) return true;
  }
  return false;
}

/** The digest of an entry's meaning: where it applies, what it refers to, its deciding bytes, never its line. `user` owns its uses, 0 for none. */
export function digestEntry(owner: u32, site: i64, start: i64, first: u32, last: u32, user: u32): usize {
  const digest = scratch();
  const section = <u32>rule(SECTION);
  const number = <u32>rule(NUMBER);
  reset(digest, number);
  words(digest, <u32>site, nameHash, 0, 0);
  const content = sectionOffset(section) + <u32>start;
  for (let i = MEANING; i < MEANING + 4; i += 2)
    if (rule(i) >= 0) bytes(digest, content + rule(i), content + rule(i + 1));

  const slot = specialSlot(number, site);
  for (let i = first; i < last; i++) {
    relas.read(base, sorted, i);
    const field = <i32>(<i64>relas.offset - start);
    const symbol = relas.symbol;
    const type = relas.type;
    const addend = relas.addend;
    if (symbol >= symbols) relaSymbol(relasOf(section), i, symbol);
    const target = sectionOf(symbol);
    const place = startOf(symbol) + addend;
    if (field == rule(REFERENCES) || field == rule(REFERENCES + 1)) {
      words(digest, field, type, 0, 0);
      // A branch target within the function itself moves with it.
      const reached = target > 0 && target < sections ? objectAt(target, place) : 0;
      if (reached != 0 && reached == owner) words(digest, <u32>(place - startOf(reached)), 0, 0, 1);
      else mixTarget(digest, symbol, section, <u32>relas.offset, type, addend, user, slot, -1);
    } else if (field == rule(REPLACEMENT)) {
      const length = <i64>byteAt(content + rule(LENGTH));
      if (length == 0 && isCallback(content)) {
        words(digest, field, type, 0, 0);
        mixTarget(digest, symbol, section, <u32>relas.offset, type, addend, user, slot, -1);
        continue;
      }
      // A zero-length replacement's address means nothing: it is the next entry's.
      if (length > 0 && target < sections && place >= 0 && place + length <= sectionSize(target)) {
        const from = sectionOffset(target) + <u32>place;
        bytes(digest, from, from + <u32>length);
        mixReferences(digest, target, place, place + length, user, place, 0);
      }
    }
  }
  finish(digest);
  return digest;
}

/** Whether the replacement of the entry at file offset `content` is a function that is called, not code that is copied. */
function isCallback(content: u32): bool {
  if (rule(CALLBACK) <= 0) return false;
  const at = content + rule(REPLACEMENT) + 4;
  const feature = big ? (byteAt(at) << 8) | byteAt(at + 1) : byteAt(at) | (byteAt(at + 1) << 8);
  return (feature & <u32>rule(CALLBACK)) != 0;
}

/** Adds the digests of all entries of the table to their owners' `special` column, and their lines to `lines`. Addition commutes, so order does not matter. */
export function digestEntries(): void {
  openTable();
  while (nextEntry()) {
    if ((traitsOf(owner) & TRAIT_FUNC) == 0) continue;
    const digest = digestEntry(owner, site, start, first, last, owner);
    const sum = symbolCell(specialColumn, owner, 3);
    store<u32>(sum, load<u32>(sum) + load<u32>(digest));
    store<u32>(sum, load<u32>(sum, 4) + load<u32>(digest, 4), 4);
    let line = recordLine();
    if (rule(LINE) >= 0) {
      const at = sectionOffset(<u32>rule(SECTION)) + <u32>start + rule(LINE);
      line += ((<u32>site + 1) * 0x9e3779b1) ^ ((byteAt(at) | (byteAt(at + 1) << 8)) * 0x85ebca6b);
    }
    const lines = symbolCell(linesColumn, owner, 2);
    store<u32>(lines, load<u32>(lines) + line);
  }
}

/**
 * The line of the record that an entry's key belongs to (the static key of a `struct _ddebug`), mixed with its site; 0 if
 * the key is no record's.
 */
function recordLine(): u32 {
  for (let i = first; i < last; i++) {
    relas.read(base, sorted, i);
    const field = <i32>(<i64>relas.offset - start);
    if (field != rule(REFERENCES) && field != rule(REFERENCES + 1)) continue;
    const section = sectionOf(relas.symbol);
    if (section >= sections || (classOf(section) & (CLASS_RECORD | CLASS_SPECIAL)) != CLASS_RECORD) continue;
    const record = coverAt(section, startOf(relas.symbol) + relas.addend);
    const offset = lineIn(section);
    if (offset < 0 || record == 0 || sizeOf(record) < offset + 4) continue;
    const line = wordOf(pointer(sectionOffset(section) + <u32>startOf(record) + offset, 4)) & lineBits();
    return ((<u32>site + 3) * 0x9e3779b1) ^ (line * 0x85ebca6b);
  }
  return 0;
}

/** Slot of a reference that a special-section entry makes on behalf of the function it describes. */
function specialSlot(number: u32, site: i64): u32 {
  return 0x80000000 | (number << 27) | (<u32>site & 0x07ffffff);
}

/** Gives a trait to every object that a section's relas refer to. */
export function markTargets(section: u32, trait: u32): void {
  relas.select(section, 0, sectionSize(section));
  const stop = relas.to;
  for (let i = relas.from; i < stop; i++) {
    relas.read(relas.base, relas.sorted, i);
    if (relas.symbol >= symbols || sectionOf(relas.symbol) >= sections) continue;
    const target = objectAt(sectionOf(relas.symbol), startOf(relas.symbol) + relas.addend);
    if (target != 0) addTrait(target, trait);
  }
}
