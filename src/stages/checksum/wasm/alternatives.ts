/** What may run in an instruction's place, or after it: every alternative of an object, by the place of its instruction, in the order of the tables. */
import { STT_SECTION } from '../generated/constants';
import { entryWithout, grow, unevenTable } from './host';
import {
  alternativesFrom,
  bitsOf,
  contentOf,
  fact,
  homeOf,
  lengthOf,
  sectionCell,
  sections,
  setFact,
  valueOf,
} from './memory';
import { sort } from './order';
import * as relas from './relas';
import { ALTERNATIVE } from './sections';
import { typeOf } from './symbols';

// Why an instruction may not be what runs; the numbers are part of the identity.
export const INSTRUCTIONS: u32 = 0;
export const JUMP_LABEL: u32 = 1;
export const EXCEPTION: u32 = 2;
const KINDS: u32 = 3;

// Layouts of Linux 7.2, which are also those of 6.12: entry sizes, and fields.
const SIZES = memory.data<u8>([14, 16, 12]);
const SITE: u32 = 0;
const TARGET: u32 = 4;
const FEATURE: u32 = 8;
const ORIGINAL_LENGTH: u32 = 12;
const LENGTH: u32 = 13;
/** Entries made by `_ASM_EXTABLE_EX` in older kernels carry this bias in their target; objtool still takes it off. */
const EXTABLE_BIAS: i64 = 0x7ffffff0;

/** Records in the order of the tables, from `records` on. */
let records: usize = 0;
let count: u32 = 0;
/** Their numbers by section and place of the instruction; and those of replacements that are not empty by their own. */
let bySite: usize = 0;
let byTarget: usize = 0;
let replacements: u32 = 0;

// A record's fields.
const RECORD: u32 = 56;
const SITE_SECTION: usize = 0;
const KIND: usize = 4;
const SITE_OFFSET: usize = 8;
const TARGET_SECTION: usize = 16;
/** Feature and flags of the alt_instr. */
const FEATURE_BITS: usize = 20;
const TARGET_OFFSET: usize = 24;
/** Where the replacement ends in its section. */
const TARGET_END: usize = 32;
/** Number of the first record about the same original, which says where the longest ends: nested ALTERNATIVE()s replace that. */
const ORIGINAL: usize = 40;
const ORIGINAL_END: usize = 48;

// @ts-ignore: decorator
@inline
function at(number: u32): usize {
  return records + number * RECORD;
}

// Words of `facts`.
const RECORDS: u32 = 0;
const COUNT: u32 = 1;
const BY_SITE: u32 = 2;
const BY_TARGET: u32 = 3;
const REPLACEMENTS: u32 = 4;

/** Takes over what another thread has read. */
export function shareAlternatives(): void {
  records = fact(RECORDS);
  count = fact(COUNT);
  bySite = fact(BY_SITE);
  byTarget = fact(BY_TARGET);
  replacements = fact(REPLACEMENTS);
}

export function readAlternatives(): void {
  let entries: u32 = 0;
  for (let section: u32 = 1; section < sections; section++)
    for (let kind: u32 = 0; kind < KINDS; kind++)
      if ((bitsOf(section) & (ALTERNATIVE << kind)) != 0) entries += entriesOf(section, kind);
  records = grow(entries * RECORD);
  bySite = grow(entries << 2);
  byTarget = grow(entries << 2);
  count = replacements = 0;
  for (let kind: u32 = 0; kind < KINDS; kind++)
    for (let section: u32 = 1; section < sections; section++)
      if ((bitsOf(section) & (ALTERNATIVE << kind)) != 0) readTable(section, kind);
  orderSites();
  sort(0, replacements, targetNumber, putTarget, isTargetBefore);
  setFact(RECORDS, <u32>records);
  setFact(COUNT, count);
  setFact(BY_SITE, <u32>bySite);
  setFact(BY_TARGET, <u32>byTarget);
  setFact(REPLACEMENTS, replacements);
}

function entriesOf(table: u32, kind: u32): u32 {
  const size: u32 = load<u8>(SIZES + kind);
  if (lengthOf(table) % size != 0) unevenTable(table, size);
  return lengthOf(table) / size;
}

function readTable(table: u32, kind: u32): void {
  const size: u32 = load<u8>(SIZES + kind);
  const content = contentOf(table);
  const end = lengthOf(table);
  let original: u32 = 0xffffffff;
  for (let entry: u32 = 0; entry < end; entry += size) {
    const record = at(count);
    if (!findTarget(table, entry + SITE)) entryWithout(table, entry, 0);
    store<u32>(record, targetSection, SITE_SECTION);
    store<i64>(record, targetOffset, SITE_OFFSET);
    store<u32>(record, kind, KIND);
    const site = targetOffset;
    const length: u32 = kind == INSTRUCTIONS ? load<u8>(content + entry + LENGTH) : 1;
    if (length == 0) targetSection = 0;
    else if (!findTarget(table, entry + TARGET)) entryWithout(table, entry, 1);
    if (length == 0) targetOffset = 0;
    if (targetOffset >= EXTABLE_BIAS) targetOffset -= EXTABLE_BIAS;
    store<u32>(record, targetSection, TARGET_SECTION);
    store<i64>(record, targetOffset, TARGET_OFFSET);
    if (kind == INSTRUCTIONS) {
      store<u32>(record, load<u32>(content + entry + FEATURE), FEATURE_BITS);
      store<i64>(record, targetOffset + length, TARGET_END);
      const stop = site + load<u8>(content + entry + ORIGINAL_LENGTH);
      if (
        original == 0xffffffff ||
        load<u32>(at(original), SITE_SECTION) != load<u32>(record, SITE_SECTION) ||
        load<i64>(at(original), SITE_OFFSET) != site
      ) {
        original = count;
        store<i64>(record, stop, ORIGINAL_END);
      } else store<i64>(at(original), max(load<i64>(at(original), ORIGINAL_END), stop), ORIGINAL_END);
      store<u32>(record, original, ORIGINAL);
      if (length != 0) putTarget(replacements++, count);
    }
    count++;
  }
}

/** What the relocation at a field refers to. */
let targetSection: u32 = 0;
let targetOffset: i64 = 0;

function findTarget(table: u32, field: u32): bool {
  if (!relas.first(table, field, field + 1)) return false;
  const symbol = relas.symbol;
  targetSection = homeOf(symbol);
  targetOffset = (typeOf(symbol) == STT_SECTION ? 0 : valueOf(symbol)) + relas.addend;
  return true;
}

/** A counting sort by section, then by place. */
function orderSites(): void {
  for (let i: u32 = 0; i < count; i++) addTo(load<u32>(at(i), SITE_SECTION), 1);
  let total: u32 = 0;
  for (let section: u32 = 0; section < sections; section++) {
    const cell = sectionCell(alternativesFrom, section, 2);
    const here = load<u32>(cell, 4);
    store<u32>(cell, total, 4);
    total += here;
  }
  for (let i: u32 = 0; i < count; i++) putSite(addTo(load<u32>(at(i), SITE_SECTION), 1), i);
  for (let section: u32 = 0; section < sections; section++)
    sort(firstOf(section), lastOf(section), siteNumber, putSite, isSiteBefore);
}

function addTo(section: u32, more: u32): u32 {
  const cell = sectionCell(alternativesFrom, section, 2);
  const before = load<u32>(cell, 4);
  store<u32>(cell, before + more, 4);
  return before;
}

function siteNumber(index: u32): u32 {
  return load<u32>(bySite + (index << 2));
}

function putSite(index: u32, number: u32): void {
  store<u32>(bySite + (index << 2), number);
}

function isSiteBefore(a: u32, b: u32): bool {
  const first = load<i64>(at(a), SITE_OFFSET);
  const second = load<i64>(at(b), SITE_OFFSET);
  return first != second ? first < second : a < b;
}

function targetNumber(index: u32): u32 {
  return load<u32>(byTarget + (index << 2));
}

function putTarget(index: u32, number: u32): void {
  store<u32>(byTarget + (index << 2), number);
}

function isTargetBefore(a: u32, b: u32): bool {
  const home = load<u32>(at(a), TARGET_SECTION);
  const other = load<u32>(at(b), TARGET_SECTION);
  if (home != other) return home < other;
  const place = load<i64>(at(a), TARGET_OFFSET);
  const second = load<i64>(at(b), TARGET_OFFSET);
  return place != second ? place < second : a < b;
}

// @ts-ignore: decorator
@inline
function firstOf(section: u32): u32 {
  return load<u32>(sectionCell(alternativesFrom, section, 2));
}

// @ts-ignore: decorator
@inline
function lastOf(section: u32): u32 {
  return load<u32>(sectionCell(alternativesFrom, section, 2), 4);
}

/** Whether a section has any. */
// @ts-ignore: decorator
@inline
export function hasAny(section: u32): bool {
  return firstOf(section) != lastOf(section);
}

/** Index, for `recordAt`, of the first alternative of the instruction at a place, or of what stands behind. */
export function firstAt(section: u32, offset: i64): u32 {
  let low = firstOf(section);
  let high = lastOf(section);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (load<i64>(at(siteNumber(middle)), SITE_OFFSET) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The record of index `index`, if it is one of this place; 0 behind the last of them. */
export function recordAt(section: u32, offset: i64, index: u32): usize {
  if (index >= lastOf(section)) return 0;
  const record = at(siteNumber(index));
  return load<i64>(record, SITE_OFFSET) == offset ? record : 0;
}

/** The record of the replacement that starts at a place: the last one; 0 for none. */
export function replacementAt(section: u32, offset: i64): usize {
  let low: u32 = 0;
  let high = replacements;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const record = at(targetNumber(middle));
    const home = load<u32>(record, TARGET_SECTION);
    if (home < section || (home == section && load<i64>(record, TARGET_OFFSET) <= offset)) low = middle + 1;
    else high = middle;
  }
  if (low == 0) return 0;
  const record = at(targetNumber(low - 1));
  return load<u32>(record, TARGET_SECTION) == section && load<i64>(record, TARGET_OFFSET) == offset ? record : 0;
}

export function kindOf(record: usize): u32 {
  return load<u32>(record, KIND);
}

/** Where an alternative starts; section 0 for a replacement by nothing. */
export function sectionOf(record: usize): u32 {
  return load<u32>(record, TARGET_SECTION);
}

export function offsetOf(record: usize): i64 {
  return load<i64>(record, TARGET_OFFSET);
}

export function endOf(record: usize): i64 {
  return load<i64>(record, TARGET_END);
}

export function featureOf(record: usize): u32 {
  return load<u32>(record, FEATURE_BITS);
}

/** Section and end of what a replacement replaces. */
export function replacedSection(record: usize): u32 {
  return load<u32>(record, SITE_SECTION);
}

export function replacedEnd(record: usize): i64 {
  return load<i64>(at(load<u32>(record, ORIGINAL)), ORIGINAL_END);
}
