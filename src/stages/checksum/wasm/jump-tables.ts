/**
 * Targets of a function's switches, by the indirect jump, last one first: the table that an instruction before the jump
 * refers to, as long as its entries name instructions of this function. Kernels with retpolines or IBT have none.
 */
import { R_X86_64_32, R_X86_64_32S, R_X86_64_PC32, R_X86_64_PLT32, STT_SECTION } from '../generated/constants';
import { functionAt, instructionAt } from './code';
import { covering } from './cover';
import { grow } from './host';
import { distanceBytes, isDirectJump, isIndirectJump } from './lengths';
import { bitsOf, homeOf, sizeOf, valueOf } from './memory';
import * as relas from './relas';
import { NAMED_TABLES, TABLES, byteAt } from './sections';
import { typeOf, whole } from './symbols';
import * as walk from './walk';

/** Whether the function that `read` was called for has any. */
export let any: bool = false;
let func: u32 = 0;

/** The function's instructions: section, length, offset, numbers + 1 of where it jumps to and of what first jumps forward to it, and of its table. */
const SITE: u32 = 32;
const OFFSET: usize = 8;
const LENGTH: usize = 4;
const DESTINATION: usize = 16;
const SOURCE: usize = 20;
const OWN_TABLE: usize = 24;
let sites: usize = 0;
let siteCapacity: u32 = 0;
let siteCount: u32 = 0;
/** Number of the first one of the cold part. */
let coldSite: u32 = 0;

/** Tables: section, type of the first relocation and its place. */
const TABLE: u32 = 16;
let found: usize = 0;
let foundCapacity: u32 = 0;
let foundCount: u32 = 0;

/** Targets of one: section and offset. */
const GOAL: u32 = 16;
let goals: usize = 0;
let goalCapacity: u32 = 0;
let goalCount: u32 = 0;

// @ts-ignore: decorator
@inline
function site(number: u32): usize {
  return sites + number * SITE;
}

export function read(whose: u32): void {
  any = false;
  func = whose;
  let count: u32 = 0;
  let jumps: u32 = 0;
  walk.start(func);
  if (walk.length == 0) return;
  do {
    if (isIndirectJump(byteAt(walk.section, walk.offset), walk.length)) jumps++;
    count++;
  } while (walk.next());
  if (jumps == 0) return;
  collect(count);
  linkJumps();
  if (jumps > foundCapacity) {
    foundCapacity = jumps;
    found = grow(jumps * TABLE);
  }
  foundCount = 0;
  for (let number: u32 = 0; number < siteCount; number++) {
    if (!isIndirect(number) || !findTable(number)) continue;
    store<u32>(site(number), ++foundCount, OWN_TABLE);
    any = true;
  }
}

function collect(count: u32): void {
  if (count > siteCapacity) {
    siteCapacity = count * 2;
    sites = grow(siteCapacity * SITE);
  }
  siteCount = 0;
  coldSite = count;
  walk.start(func);
  do {
    const at = site(siteCount);
    store<u32>(at, walk.section);
    store<u32>(at, walk.length, LENGTH);
    store<i64>(at, walk.offset, OFFSET);
    store<u64>(at, 0, DESTINATION);
    store<u64>(at, 0, OWN_TABLE);
    if (walk.inColdPart && coldSite == count) coldSite = siteCount;
    siteCount++;
  } while (walk.next());
}

/** Where the code before a place was jumped from: a switch's bounds check stands there, other code in between does not matter. */
function linkJumps(): void {
  for (let number: u32 = 0; number < siteCount; number++) {
    const at = site(number);
    const section = load<u32>(at);
    const length = load<u32>(at, LENGTH);
    const code = byteAt(section, load<i64>(at, OFFSET));
    const bytes = distanceBytes(code, length);
    if (bytes == 0) continue;
    const end = code + length;
    const distance: i64 = bytes == 1 ? <i64>load<i8>(end - 1) : <i64>load<i32>(end - 4);
    const destination = numberAt(section, load<i64>(at, OFFSET) + length + distance);
    if (destination == 0) continue;
    store<u32>(at, destination, DESTINATION);
    const target = site(destination - 1);
    if (destination - 1 > number && load<u32>(target, SOURCE) == 0) store<u32>(target, number + 1, SOURCE);
  }
}

/** Number + 1 of the instruction at a place, 0 where none of the function's is there. */
function numberAt(section: u32, offset: i64): u32 {
  const number = among(section, offset, coldSite, siteCount);
  return number != 0 ? number : among(section, offset, 0, coldSite);
}

function among(section: u32, offset: i64, low: u32, high: u32): u32 {
  if (low == high || load<u32>(site(low)) != section) return 0;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const place = load<i64>(site(middle), OFFSET);
    if (place == offset) return middle + 1;
    if (place < offset) low = middle + 1;
    else high = middle;
  }
  return 0;
}

function isIndirect(number: u32): bool {
  const at = site(number);
  return isIndirectJump(byteAt(load<u32>(at), load<i64>(at, OFFSET)), load<u32>(at, LENGTH));
}

/** Finds the table of the jump `jump` and puts it behind those found so far. */
function findTable(jump: u32): bool {
  for (let number: u32 = jump + 1; number > 0; ) {
    const at = number - 1;
    if (at != jump && isIndirect(at)) return false;
    const record = site(at);
    const destination = load<u32>(record, DESTINATION);
    if (
      destination != 0 &&
      (destination - 1 <= at || destination - 1 > jump) &&
      isDirectJump(byteAt(load<u32>(record), load<i64>(record, OFFSET)))
    )
      return false;
    if (tableAt(record)) return true;
    const source = load<u32>(record, SOURCE);
    number = source != 0 ? source : at;
  }
  return false;
}

/** Whether an instruction refers to a table of code addresses, the first of which is this function's. */
function tableAt(record: usize): bool {
  const offset = load<i64>(record, OFFSET);
  if (!relas.first(load<u32>(record), offset, offset + load<u32>(record, LENGTH))) return false;
  const symbol = relas.symbol;
  if (typeOf(symbol) != STT_SECTION) return false;
  const section = homeOf(symbol);
  if ((bitsOf(section) & TABLES) == 0) return false;
  const start = relas.addend + (relas.type == R_X86_64_PC32 ? 4 : 0);
  // A table of the compiler's has no name.
  if ((bitsOf(section) & NAMED_TABLES) == 0 && covering(section, start) != 0) return false;
  if (!relas.first(section, start, start + 1)) return false;
  const table = found + foundCount * TABLE;
  store<u32>(table, section);
  store<u32>(table, relas.type, 4);
  store<i64>(table, relas.offset, 8);
  return readEntry(relas.offset) == GOAL_FOUND;
}

const NO_GOAL: u32 = 0;
const GOAL_FOUND: u32 = 1;
/** The function's end, which Clang leaves in unused entries. */
const AT_END: u32 = 2;

let goalSection: u32 = 0;
let goalOffset: i64 = 0;

/** What of this function the entry names for which a relocation was found, of a table whose first one is at `first`. */
function readEntry(first: i64): u32 {
  const symbol = relas.symbol;
  goalSection = homeOf(symbol);
  goalOffset =
    (typeOf(symbol) == STT_SECTION ? 0 : valueOf(symbol)) +
    relas.addend -
    (relas.type == R_X86_64_PC32 ? relas.offset - first : 0);
  if (goalSection == homeOf(func)) {
    // A table of functions.
    if (goalOffset == valueOf(func)) return NO_GOAL;
    if (goalOffset == valueOf(func) + sizeOf(func) && relas.offset != first) return AT_END;
  }
  if (instructionAt(goalSection, goalOffset) == 0) return NO_GOAL;
  return whole(functionAt(goalSection, goalOffset)) == func ? GOAL_FOUND : NO_GOAL;
}

/** Reads the table of instruction `number` of the function; returns how many targets it has. */
export function openAt(number: u32): u32 {
  goalCount = 0;
  const own = load<u32>(site(number), OWN_TABLE);
  if (own == 0) return 0;
  const table = found + (own - 1) * TABLE;
  const section = load<u32>(table);
  const first = load<i64>(table, 8);
  const size = entrySize(load<u32>(table, 4));
  for (let at = first; relas.first(section, at, at + 1) && (at == first || !isHead(section, at)); at += size) {
    const goal = readEntry(first);
    if (goal == NO_GOAL) break;
    if (goal == GOAL_FOUND) putGoal();
  }
  return goalCount;
}

function putGoal(): void {
  if (goalCount == goalCapacity) {
    const more = max(goalCapacity * 2, 256);
    const at = grow(more * GOAL);
    memory.copy(at, goals, goalCount * GOAL);
    goals = at;
    goalCapacity = more;
  }
  const at = goals + goalCount++ * GOAL;
  store<u32>(at, goalSection);
  store<i64>(at, goalOffset, 8);
}

function isHead(section: u32, offset: i64): bool {
  for (let i: u32 = 0; i < foundCount; i++) {
    const table = found + i * TABLE;
    if (load<u32>(table) == section && load<i64>(table, 8) == offset) return true;
  }
  return false;
}

/** Target number `i`, last one first. */
export function targetSection(i: u32): u32 {
  return load<u32>(goals + (goalCount - 1 - i) * GOAL);
}

export function targetOffset(i: u32): i64 {
  return load<i64>(goals + (goalCount - 1 - i) * GOAL, 8);
}

function entrySize(type: u32): i64 {
  return type == R_X86_64_PC32 || type == R_X86_64_32 || type == R_X86_64_32S || type == R_X86_64_PLT32 ? 4 : 8;
}
