/**
 * Identity of contents: one digest a symbol, equal in two builds exactly when nothing that matters differs.
 *
 * A symbol is its bytes plus its canonical references. A reference is (offset in the symbol, type, what it really
 * points at, distance from there). What it points at must not move with its neighbours: a string is its text, a
 * constant its bytes, a named symbol its base name, never an offset in a shared section. One edited string shifts every
 * later offset of `.rodata.str1.1`, and 8,427 rela sections of a real 7.2 kernel differ without any meaning.
 *
 * The digest errs on one side only. Where the bytes do not tell what an instruction refers to (a %rip operand with an
 * unknown number of immediate bytes behind it), every possible target goes in; where an extent is unknown, the longest
 * one does. So equal digests mean equal contents, and unequal ones are settled by `compare`, which decodes.
 */
import {
  canonicalOf,
  classOf,
  firstCover,
  highHash,
  info,
  kindOf,
  lastCover,
  lowHash,
  refersTo,
  relasOf,
  sectionOf,
  sections,
  sizeOf,
  soleOf,
  startOf,
  symbolCell,
  symbols,
  traitsOf,
} from './columns';
import { coverAt, lastCovered, nextCover, objectAt } from './covers';
import { among, isBetween, mayMeanBefore, mixNeighbours, noteBoth } from './neighbours';
import { DIGEST, bytes, finish, reset, words } from './digest';
import { byteAt, entrySize, sectionName, sectionOffset, sectionSize, sectionType, startsWith, textEnd } from './file';
import {
  CLASS_ANONYMOUS,
  CLASS_CONSTANT,
  CLASS_DERIVED,
  CLASS_EXEC,
  CLASS_NOBITS,
  CLASS_PERCPU,
  CLASS_READONLY,
  CLASS_RECORD,
  CLASS_REPLACEMENT,
  CLASS_SPECIAL,
  CLASS_STRING,
  CLASS_TOC,
  CLASS_WRITE,
  KIND_ABSOLUTE,
  KIND_CONTENT,
  KIND_NAMED,
  KIND_PLACE,
  KIND_PRIVATE,
  KIND_STRING,
  KIND_UNDEFINED,
  REFERS_ALIAS,
  REFERS_AMBIGUOUS,
  REFERS_KIND,
  SECTION_ABS,
  SHT_NOBITS,
  STT_SECTION,
  TRAIT_AMBIGUOUS,
} from '../generated/constants';
import {
  NO_OBJECT,
  NOT_RELATIVE,
  anchor,
  bias,
  endless,
  forEachBranch,
  relaOutside,
  relaSymbol,
  tail as tailOf,
  touches,
} from './host';
import { mixRecordBytes } from './records';
import * as relas from './relas';
import { valueInFile } from './symbols';
import { keep, kept } from './memo';
import { met, note } from './uses';

// Tags keep references of different kinds apart; the values are arbitrary.
const TAG_STRING: u32 = 1;
const TAG_CONSTANT: u32 = 2;
const TAG_CONTENT: u32 = 3;
const TAG_NAMED: u32 = 4;
const TAG_PRIVATE: u32 = 5;
const TAG_ABSOLUTE: u32 = 6;
const TAG_UNDEFINED: u32 = 7;
const TAG_ANONYMOUS: u32 = 8;
const TAG_SECTION: u32 = 9;
const TAG_REPLACEMENT: u32 = 10;
const TAG_RECORD: u32 = 11;
const TAG_OUTSIDE: u32 = 12;
const TAG_BRANCH: u32 = 13;
const TAG_WITHIN: u32 = 14;
export const TAG_NEIGHBOUR: u32 = 15;

/** Anonymous data may refer to anonymous data; real kernels go two deep. */
const DEEPEST: u32 = 32;
/** Contents that one symbol may open, all levels together. Real ones open some dozens; data that refers to itself would never end. */
const MOST_CONTENTS: u32 = 4_096;

/** One digest a level, DIGEST bytes each. */
export let digests: usize = 0;
export const LEVELS: u32 = DEEPEST + 1;
/** Bit n is set where the processor's instructions may have n bytes behind a field. */
export let tails: u32 = 0;
/** Set where compilers name several variables of a section by one address. */
export let anchored: u32 = 0;

/** Whether the reference that is being mixed is an operand in memory with an index: it begins what it is of. */
let indexed: bool = false;
/** Set while only what lies at the place of one reference is asked for. */
let alone: bool = false;

export function setAlone(on: bool): void {
  alone = on;
}

let depth: u32 = 0;
/** Contents opened since the outermost one. */
let opened: u32 = 0;

/** Forgets how deep a call that failed was. */
export function surface(): void {
  depth = 0;
  alone = false;
}

/** The digest of a symbol's range. `user` owns the uses found on the way, 0 for none. */
export function ofSymbol(symbol: u32, user: u32, outerSlot: u32): usize {
  const start = startOf(symbol);
  return ofRange(sectionOf(symbol), start, start + sizeOf(symbol), user, outerSlot);
}

/** The digest of bytes [start, end) of a section and of all references in them. The result is overwritten by the next call at this depth. */
export function ofRange(section: u32, start: i64, end: i64, user: u32, outerSlot: u32): usize {
  const digest = digests + depth * DIGEST;
  const bits = classOf(section);
  reset(digest, bits & (CLASS_RECORD | CLASS_PERCPU));
  if (sectionType(section) == SHT_NOBITS) words(digest, <u32>(end - start), 0, 0, 0);
  else {
    const from = sectionOffset(section);
    if ((bits & CLASS_RECORD) != 0) mixRecordBytes(digest, section, from + <u32>start, from + <u32>end);
    else bytes(digest, from + <u32>start, from + <u32>end);
  }
  if (relasOf(section) != 0) mixReferences(digest, section, start, end, user, start, outerSlot);
  if ((bits & (CLASS_EXEC | CLASS_NOBITS)) == CLASS_EXEC && lastCover(section) - firstCover(section) > 1)
    mixBranches(digest, section, start, end);
  finish(digest);
  return digest;
}

/** Mixes the canonical references of [start, end) of a section; slots count from `origin`. */
export function mixReferences(
  digest: usize,
  section: u32,
  start: i64,
  end: i64,
  user: u32,
  origin: i64,
  outerSlot: u32,
): void {
  relas.select(section, start, end);
  // Others will select while these are gone through.
  const base = relas.base;
  const sorted = relas.sorted;
  const from = relas.from;
  const stop = relas.to;
  for (let i = from; i < stop; i++) {
    relas.read(base, sorted, i);
    const offset = <i64>relas.offset;
    if (offset < start || offset >= end) {
      if (<u64>offset >= <u64>sectionSize(section)) relaOutside(relasOf(section), i, <f64>relas.offset, section);
      continue;
    }
    const symbol = relas.symbol;
    if (symbol >= symbols) relaSymbol(relasOf(section), i, symbol);
    const type = relas.type;
    const slot = innerSlot(outerSlot, offset - origin);
    const bits = load<u8>(symbolCell(refersTo, symbol, 0));
    if ((bits & REFERS_KIND) == KIND_NAMED) {
      const target = (bits & REFERS_ALIAS) != 0 ? canonicalOf(symbol) : symbol;
      words(digest, <u32>(offset - origin), TAG_NAMED | (type << 8), lowHash(target), highHash(target));
      words(digest, <u32>relas.addend, <u32>(relas.addend >> 32), 0, 0);
      if ((bits & REFERS_AMBIGUOUS) != 0) note(user, slot, target);
    } else {
      words(digest, <u32>(offset - origin), type, 0, 0);
      among(base, sorted, from, stop, i);
      mixTarget(digest, symbol, section, <u32>offset, type, relas.addend, user, slot, -1);
    }
  }
}

/** Bytes at a branch target without a symbol that stand for it. */
const TAIL: i64 = 8;

let branchDigest: usize = 0;
let branchSection: u32 = 0;
let branchStart: i64 = 0;
let branchEnd: i64 = 0;

/**
 * Mixes who stands where a direct branch without a relocation may go. In a section of several functions (`.noinstr.text`)
 * the assembler resolves calls, and a distance that stays the same can come to reach another function.
 */
function mixBranches(digest: usize, section: u32, start: i64, end: i64): void {
  branchDigest = digest;
  branchSection = section;
  branchStart = start;
  branchEnd = end;
  const from = sectionOffset(section);
  forEachBranch(from + <u32>start, from + <u32>end);
}

/** One branch of the range that `mixBranches` goes through: the file offset of its target. */
export function branch(target: f64): void {
  const place = <i64>target - <i64>sectionOffset(branchSection);
  if ((place >= branchStart && place < branchEnd) || place < 0 || place >= sectionSize(branchSection)) return;
  const owner = coverAt(branchSection, place);
  if (owner != 0) words(branchDigest, TAG_BRANCH, lowHash(owner), highHash(owner), <u32>(place - startOf(owner)));
  // Two tails behind functions' sizes are not the same because neither has a name.
  else {
    const at = sectionOffset(branchSection) + <u32>place;
    bytes(branchDigest, at, at + <u32>min(TAIL, sectionSize(branchSection) - place));
  }
}

/**
 * Mixes what (symbol, addend) of a rela at `offset` of `section` points at. `knownTail` is the number of instruction
 * bytes behind the field where decoding has told it, else -1.
 */
export function mixTarget(
  digest: usize,
  symbol: u32,
  section: u32,
  offset: u32,
  type: u32,
  addend: i64,
  user: u32,
  slot: u32,
  knownTail: i32,
): void {
  const kind = kindOf(symbol);
  if (kind == KIND_NAMED) mixNamed(digest, symbol, addend, user, slot);
  else if (kind == KIND_STRING || kind == KIND_PLACE) {
    // Entries of special sections and records name the objects they belong to.
    let unsure =
      !(alone && depth == 0) &&
      mayBeUnsure(sectionOf(symbol)) &&
      (classOf(section) & (CLASS_SPECIAL | CLASS_RECORD)) == 0;
    const relative = (classOf(section) & CLASS_EXEC) != 0 ? bias(type) : NOT_RELATIVE;
    indexed = false;
    if (anchored != 0 && depth == 0 && mixAnchored(digest, symbol, section, offset, addend, unsure, user, slot)) return;
    if (unsure && (classOf(section) & CLASS_EXEC) != 0) {
      const use = touches(sectionOffset(section), sectionOffset(section) + offset, type);
      unsure = use < 2;
      indexed = use == 1;
    }
    if (relative == NOT_RELATIVE) {
      mixNear(digest, symbol, addend, unsure, user, slot);
      return;
    }
    const from = sectionOffset(section);
    const tail = knownTail >= 0 ? knownTail : tailOf(from, from + offset);
    if (tail >= 0) mixNear(digest, symbol, addend + relative + tail, unsure, user, slot);
    else
      for (let i = 0; tails >> i != 0; i++)
        if (((tails >> i) & 1) != 0) mixNear(digest, symbol, addend + relative + i, unsure, user, slot);
  } else if (kind == KIND_CONTENT) {
    words(digest, TAG_CONTENT, <u32>addend, <u32>(addend >> 32), 0);
    mixContent(digest, canonicalOf(symbol), user, slot);
  } else if (kind == KIND_PRIVATE || kind == KIND_UNDEFINED) {
    words(digest, kind == KIND_PRIVATE ? TAG_PRIVATE : TAG_UNDEFINED, lowHash(symbol), highHash(symbol), <u32>addend);
    words(digest, <u32>(addend >> 32), 0, 0, 0);
  } else if (kind == KIND_ABSOLUTE) {
    const place = valueInFile(symbol) + addend;
    words(digest, TAG_ABSOLUTE, <u32>place, <u32>(place >> 32), 0);
  } else words(digest, TAG_ABSOLUTE, <u32>addend, <u32>(addend >> 32), 1);
}

/** Mixes all objects that are reached by the address of one of them; false where that one is meant. */
function mixAnchored(
  digest: usize,
  symbol: u32,
  section: u32,
  offset: u32,
  addend: i64,
  unsure: bool,
  user: u32,
  slot: u32,
): bool {
  if ((classOf(section) & CLASS_EXEC) == 0 || !mayBeUnsure(sectionOf(symbol))) return false;
  let distance = anchor(section, offset, 0);
  if (distance == NO_OBJECT) return false;
  for (let i: u32 = 1; distance != NO_OBJECT; i++) {
    mixNear(digest, symbol, addend + distance, unsure, user, slot ^ ((i - 1) * 0x9e3779b1));
    distance = anchor(section, offset, i);
  }
  return true;
}

/**
 * Mixes what lies at a distance from a section's start or a label. From the label of a literal or merged constant on it is that one's, whole, even
 * where another one begins.
 */
function mixNear(digest: usize, symbol: u32, distance: i64, unsure: bool, user: u32, slot: u32): void {
  const section = sectionOf(symbol);
  if (
    distance == 0 ||
    section >= sections ||
    (classOf(section) & (CLASS_STRING | CLASS_CONSTANT)) == 0 ||
    (load<u8>(symbolCell(info, symbol, 0)) & 0xf) == STT_SECTION
  ) {
    mixPlace(digest, section, startOf(symbol) + distance, unsure, user, slot);
    return;
  }
  words(digest, TAG_WITHIN, <u32>distance, <u32>(distance >> 32), 0);
  mixPlace(digest, section, startOf(symbol), false, user, slot);
}

/** Mixes whatever lies at `offset` of a section; where it is `unsure` that this is meant, what lies beside it, too. */
function mixPlace(digest: usize, section: u32, offset: i64, unsure: bool, user: u32, slot: u32): void {
  if (section >= sections) {
    words(digest, TAG_ABSOLUTE, <u32>offset, <u32>(offset >> 32), section == SECTION_ABS ? 0 : 1);
    return;
  }
  const bits = classOf(section);
  if ((bits & CLASS_STRING) != 0) mixString(digest, section, offset);
  else if ((bits & CLASS_TOC) != 0) mixTocEntry(digest, section, offset, user, slot);
  else if ((bits & CLASS_REPLACEMENT) != 0) words(digest, TAG_REPLACEMENT, 0, 0, 0);
  else if ((bits & CLASS_RECORD) != 0) mixRecord(digest, section, offset, user, slot);
  else if ((bits & CLASS_CONSTANT) != 0 && entrySize(section) > 0) {
    const size = entrySize(section);
    const start = offset >= 0 ? offset - (offset % size) : -1;
    mixExtent(digest, TAG_CONSTANT, section, start, start + size, offset, user, slot);
  } else {
    const target = objectAt(section, offset);
    let owner = user;
    if (unsure) {
      // Content is kept for all who refer to it.
      mixNeighbours(digest, section, offset, target, depth == 0 ? user : 0);
      // Which of two it is proves nothing about either's twin.
      if (
        target != 0 &&
        kindOf(target) == KIND_NAMED &&
        !indexed &&
        isBetween(section, offset, target) &&
        mayMeanBefore(section, target)
      ) {
        noteBoth(user, slot, section, target);
        owner = 0;
      }
    }
    // Behind the end of `names` may begin a literal without a name.
    const behind =
      target != 0 &&
      offset >= startOf(target) + sizeOf(target) &&
      offset < sectionSize(section) &&
      (bits & (CLASS_READONLY | CLASS_ANONYMOUS)) != 0 &&
      (bits & (CLASS_EXEC | CLASS_SPECIAL | CLASS_DERIVED)) == 0 &&
      soleOf(section) == 0;
    if (target != 0) mixTargetSymbol(digest, target, offset - startOf(target), owner, slot);
    if (target == 0 || behind) mixAnonymous(digest, section, offset, user, slot);
  }
}

/** Whether a section has several objects of which a reference to it may mean one or another. */
function mayBeUnsure(section: u32): bool {
  return (
    section < sections &&
    soleOf(section) == 0 &&
    lastCover(section) != firstCover(section) &&
    (classOf(section) & (CLASS_EXEC | CLASS_SPECIAL | CLASS_DERIVED | CLASS_RECORD | CLASS_TOC | CLASS_STRING)) == 0
  );
}

/** What a CLASS_TOC entry refers to; a constant entry is its eight bytes. */
function mixTocEntry(digest: usize, section: u32, offset: i64, user: u32, slot: u32): void {
  if (findTocRela(section, offset) < 0)
    mixExtent(digest, TAG_CONSTANT, section, offset, offset + 8, offset, user, slot);
  else mixTarget(digest, relas.symbol, section, <u32>offset, relas.type, relas.addend, user, slot, -1);
}

/** Reads the rela of a CLASS_TOC entry and returns its number; -1 for a constant. An entry that refers to the CLASS_TOC is none. */
export function findTocRela(section: u32, offset: i64): i32 {
  relas.select(section, offset, offset + 8);
  for (let i = relas.from; i < relas.to; i++) {
    relas.read(relas.base, relas.sorted, i);
    if (<i64>relas.offset == offset && relas.symbol < symbols && sectionOf(relas.symbol) != section) return i;
  }
  return -1;
}

function mixTargetSymbol(digest: usize, target: u32, delta: i64, user: u32, slot: u32): void {
  const kind = kindOf(target);
  if (kind == KIND_CONTENT) {
    words(digest, TAG_CONTENT, <u32>delta, <u32>(delta >> 32), 0);
    mixContent(digest, target, user, slot);
  } else if (kind == KIND_PRIVATE) words(digest, TAG_PRIVATE, lowHash(target), highHash(target), <u32>delta);
  else mixNamed(digest, target, delta, user, slot);
}

function mixNamed(digest: usize, symbol: u32, delta: i64, user: u32, slot: u32): void {
  const target = canonicalOf(symbol);
  words(digest, TAG_NAMED, lowHash(target), highHash(target), <u32>delta);
  words(digest, <u32>(delta >> 32), 0, 0, 0);
  if ((traitsOf(target) & TRAIT_AMBIGUOUS) != 0) note(user, slot, target);
}

function mixContent(digest: usize, symbol: u32, user: u32, slot: u32): void {
  let content = kept(symbol);
  if (content == 0) {
    if (depth >= DEEPEST) {
      words(digest, TAG_CONTENT, lowHash(symbol), highHash(symbol), 1);
      return;
    }
    const before = met;
    open(sectionOf(symbol));
    content = ofSymbol(symbol, user, nonZero(slot));
    depth--;
    // What refers to a name that proves nothing must note it for every user.
    if (met == before) keep(symbol, content);
  }
  mixDigest(digest, content);
}

// @ts-ignore: decorator
@inline
function mixDigest(digest: usize, other: usize): void {
  words(digest, load<u32>(other), load<u32>(other, 4), load<u32>(other, 8), load<u32>(other, 12));
}

/** Goes one level down. */
function open(section: u32): void {
  opened = depth == 0 ? 1 : opened + 1;
  if (opened > MOST_CONTENTS) endless(section, MOST_CONTENTS);
  depth++;
  store<u32>(digests + depth * DIGEST, 0, OF_SECTION);
}

/** The string's units up to the first all-zero one; bytes of it, never its place. */
function mixString(digest: usize, section: u32, offset: i64): void {
  const size = sectionSize(section);
  if (offset < 0 || offset >= size) {
    words(digest, TAG_OUTSIDE, <u32>(offset - size), <u32>((offset - size) >> 32), 0);
    return;
  }
  const entry = entrySize(section);
  const unit = entry == 0 ? 1 : entry;
  const start = sectionOffset(section) + <u32>offset;
  words(digest, TAG_STRING, <u32>unit, 0, 0);
  bytes(digest, start, stringEnd(start, sectionOffset(section) + <u32>size, unit));
}

/** End of the string at `start`: the first all-zero unit, or `limit`. File offsets. The unit is any number that a header may state. */
function stringEnd(start: u32, limit: u32, unit: i64): u32 {
  for (let at = start; <u64>(limit - at) >= <u64>unit; at += <u32>unit) {
    let zero = true;
    for (let i: u32 = 0; i < <u32>unit && zero; i++) zero = byteAt(at + i) == 0;
    if (zero) return at;
  }
  return limit;
}

/** Data that no symbol covers. */
function mixAnonymous(digest: usize, section: u32, offset: i64, user: u32, slot: u32): void {
  const bits = classOf(section);
  const size = sectionSize(section);
  // The end of what has no symbol may be all that a loop names of it.
  const inside = offset >= 0 && offset <= size;
  const name = sectionName(section);
  // Clang's unnamed constants of writable kind count by content; UBSAN's locations carry lines and do not.
  const unnamed = (bits & (CLASS_ANONYMOUS | CLASS_NOBITS)) == CLASS_ANONYMOUS && !startsWith(name, '.data..Lubsan');
  if (((bits & CLASS_READONLY) == 0 && !unnamed) || !inside) {
    // Writable or empty: `.bss.__key.414` is "a key", whatever its number. A place in a section without symbols is told
    // by its offset; `compare` looks at the content where that moved.
    words(digest, TAG_SECTION, bits & CLASS_WRITE, <u32>offset, <u32>(offset >> 32));
    let end = textEnd(name);
    while (end > name && isNumbering(byteAt(end - 1))) end--;
    bytes(digest, name, end);
    return;
  }
  const whole = firstCover(section) == lastCover(section) && holdsLabel(name);
  // Where the object begins and ends nobody knows: all that no symbol covers there.
  mixExtent(
    digest,
    TAG_ANONYMOUS,
    section,
    whole ? 0 : lastCovered(section, offset),
    whole ? size : nextCover(section, offset, size),
    offset,
    user,
    slot,
  );
}

/** Digits, dots and underscores. */
function isNumbering(byte: u32): bool {
  return (byte >= 0x30 && byte <= 0x39) || byte == 0x2e || byte == 0x5f;
}

/** Whether a name contains `..L`. */
function holdsLabel(name: u32): bool {
  for (; byteAt(name) != 0; name++) if (startsWith(name, '..L')) return true;
  return false;
}

/** The anonymous extent that a function or variable referred to last: 977 references of Debian's 6.12 lead into one of 155,667 bytes. */
let lastSection: u32 = 0;
let lastStart: i64 = 0;
let lastLow: u64 = 0;
let lastHigh: u64 = 0;

/** Where a level's digest has room for what it is of: section and start of an extent, 0 for a symbol. */
const OF_SECTION: usize = 20;
const OF_START: usize = 24;

function mixExtent(
  digest: usize,
  tag: u32,
  section: u32,
  start: i64,
  end: i64,
  offset: i64,
  user: u32,
  slot: u32,
): void {
  if (start < 0 || end > sectionSize(section) || depth >= DEEPEST) {
    words(digest, TAG_OUTSIDE, <u32>offset, <u32>(offset >> 32), tag);
    return;
  }
  words(digest, tag, <u32>(offset - start), 0, 0);
  // All that has no symbol may refer to itself: where in it says enough, its content is under way.
  if (isOpen(section, start)) return;
  if (depth == 0 && section == lastSection && start == lastStart) {
    words(digest, <u32>lastLow, <u32>(lastLow >> 32), <u32>lastHigh, <u32>(lastHigh >> 32));
    return;
  }
  const before = met;
  open(section);
  const level = digests + depth * DIGEST;
  store<u32>(level, section, OF_SECTION);
  store<u32>(level, <u32>start, OF_START);
  const content = ofRange(section, start, end, user, nonZero(slot));
  mixDigest(digest, content);
  depth--;
  // What refers to a name that proves nothing must note it for every user.
  if (depth != 0 || tag != TAG_ANONYMOUS || met != before) return;
  lastSection = section;
  lastStart = start;
  lastLow = load<u64>(content);
  lastHigh = load<u64>(content, 8);
}

/** Whether an extent is being digested, at whatever level. */
function isOpen(section: u32, start: i64): bool {
  for (let i: u32 = 1; i <= depth; i++) {
    const level = digests + i * DIGEST;
    if (load<u32>(level, OF_SECTION) == section && load<u32>(level, OF_START) == <u32>start) return true;
  }
  return false;
}

/** A record that a line number stands in: its references and all bytes but the line's. */
function mixRecord(digest: usize, section: u32, offset: i64, user: u32, slot: u32): void {
  words(digest, TAG_RECORD, 0, 0, 0);
  const symbol = coverAt(section, offset);
  if (symbol == 0 || depth >= DEEPEST) return;
  words(digest, <u32>(offset - startOf(symbol)), 0, 0, 0);
  if ((traitsOf(symbol) & TRAIT_AMBIGUOUS) != 0) note(user, slot, symbol);
  open(section);
  mixDigest(digest, ofSymbol(symbol, 0, 0));
  depth--;
}

/** Slot of a reference within content that is reached through another reference; 0 is the outermost level. */
// @ts-ignore: decorator
@inline
function innerSlot(outer: u32, offset: i64): u32 {
  return outer == 0 ? <u32>offset : (outer * 0x9e3779b1) ^ <u32>offset;
}

function nonZero(slot: u32): u32 {
  return slot + 1;
}
