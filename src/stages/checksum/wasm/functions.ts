/** A function's identity: its instructions, what they refer to, and what may run in their place. */
import {
  R_X86_64_GOTPCRELX,
  R_X86_64_PC16,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PC8,
  R_X86_64_PLT32,
  R_X86_64_GOTPCREL,
  R_X86_64_GOTPC32,
  R_X86_64_REX_GOTPCRELX,
  STT_FUNC,
} from '../generated/constants';
import * as alternatives from './alternatives';
import * as chunks from './chunks';
import { instructionAt, ownerAt } from './code';
import { calledAt } from './cover';
import { distanceBytes, isDirectJump } from './lengths';
import { valueOf } from './memory';
import { isThunk } from './names';
import * as references from './references';
import * as relas from './relas';
import { byteAt } from './sections';
import { isLocal, typeOf, whole } from './symbols';
import * as tables from './jump-tables';
import * as walk from './walk';

/** Number of the part that is told of functions. */
const INSTRUCTION: u32 = 0;

/** `__pa_symbol()` and its like add or take -__START_KERNEL_map, 0xffffffff80000000. */
const HALF: i64 = 0x80000000;

const CALL: u8 = 0xe8;

let within: bool = false;
/** The record of the replacement that is being gone through, 0 for none. */
let replacement: usize = 0;

export function addFunction(func: u32): void {
  within = false;
  replacement = 0;
  tables.read(func);
  walk.start(func);
  let number: u32 = 0;
  if (walk.length != 0)
    do {
      add(walk.section, walk.offset, walk.length, number);
      number++;
    } while (walk.next());
}

/** Not one of the function's own instructions, which jump tables are known for. */
const NO_NUMBER: u32 = 0xffffffff;

function add(section: u32, offset: i64, length: u32, number: u32): void {
  chunks.enter(INSTRUCTION, section, offset);
  const at = byteAt(section, offset);
  if (relas.first(section, offset, offset + length)) {
    chunks.bytes(at, length);
    addReference(offset + length);
  } else if (!addDirectBranch(section, offset, length, at)) chunks.bytes(at, length);
  // Alternatives of what runs as an alternative do not count (exception tables of code that fixes up).
  if (within) return;
  within = true;
  if (number != NO_NUMBER && tables.any) {
    const targets = tables.openAt(number);
    for (let i: u32 = 0; i < targets; i++)
      addAlternative(alternatives.INSTRUCTIONS, tables.targetSection(i), tables.targetOffset(i), 0, section, offset);
  }
  if (alternatives.hasAny(section)) {
    for (let index = alternatives.firstAt(section, offset); ; index++) {
      const record = alternatives.recordAt(section, offset, index);
      if (record == 0) break;
      const kind = alternatives.kindOf(record);
      addAlternative(
        kind,
        alternatives.sectionOf(record),
        alternatives.offsetOf(record),
        kind == alternatives.INSTRUCTIONS ? record : 0,
        section,
        offset,
      );
    }
  }
  within = false;
}

/** A call or jump to a place of this object, without its distance; false for anything else. */
function addDirectBranch(section: u32, offset: i64, length: u32, at: usize): bool {
  const bytes = distanceBytes(at, length);
  if (bytes == 0) return false;
  const end = at + length;
  const distance: i64 = bytes == 1 ? <i64>load<i8>(end - 1) : <i64>load<i32>(end - 4);
  if (!resolveBranch(section, offset, offset + length + distance, load<u8>(end - bytes - 1) == CALL)) return false;
  chunks.bytes(at, length - bytes);
  if (branchSymbol == 0) return true;
  chunks.name(branchSymbol);
  if (branchPlaced) chunks.longOf(branchOffset);
  return true;
}

// What `resolveBranch` leaves.
let branchSymbol: u32 = 0;
let branchPlaced: bool = false;
let branchOffset: i64 = 0;

/**
 * Where a direct branch without a relocation goes: a function that is called, or a place in a symbol; symbol 0 where it is in
 * none. False where the target is no instruction, or a thunk, which stands for what its register holds.
 */
function resolveBranch(section: u32, offset: i64, target: i64, isCall: bool): bool {
  branchPlaced = false;
  let targetSection = section;
  if (isCall) {
    branchSymbol = calledAt(section, target);
    if (branchSymbol != 0) return true;
  } else if (replacement != 0 && target == alternatives.endOf(replacement)) {
    // Behind the replacement goes on what it replaced.
    target = alternatives.replacedEnd(replacement);
    targetSection = alternatives.replacedSection(replacement);
  }
  if (instructionAt(targetSection, target) == 0) return false;
  const owner = ownerAt(targetSection, target);
  branchSymbol = owner;
  if (owner == 0) return true;
  const atStart = valueOf(owner) == target;
  if (atStart && !isLocal(owner) && isThunk(owner)) return false;
  if (atStart && typeOf(owner) == STT_FUNC) {
    const own = ownerAt(section, offset);
    if (own != 0 && whole(own) != whole(owner)) return true;
  }
  branchPlaced = true;
  branchOffset = target - valueOf(owner);
  return true;
}

/** What the relocation that was found refers to; `end` is where the instruction ends. */
function addReference(end: i64): void {
  const symbol = relas.symbol;
  let offset = relas.addend + (isRelative(relas.type) ? end - relas.offset : 0);
  if (offset > 0) offset %= HALF;
  if (references.isString(symbol)) return references.string(symbol, offset);
  if (references.isConstant(symbol)) return references.constant(symbol, offset);
  const named = references.named(symbol, offset);
  if (named == 0) return;
  chunks.name(named);
  chunks.longOf(references.distance);
}

function isRelative(type: u32): bool {
  return (
    type == R_X86_64_PC32 ||
    type == R_X86_64_PLT32 ||
    type == R_X86_64_PC64 ||
    type == R_X86_64_PC8 ||
    type == R_X86_64_PC16 ||
    type == R_X86_64_GOTPCREL ||
    type == R_X86_64_GOTPC32 ||
    type == R_X86_64_GOTPCRELX ||
    type == R_X86_64_REX_GOTPCRELX
  );
}

/** What may run at `offset` of `section` instead of, or behind, the instruction `at` of section `home`; `own` is its record as a replacement, 0 for none. */
function addAlternative(kind: u32, section: u32, offset: i64, own: usize, home: u32, at: i64): void {
  chunks.enter(INSTRUCTION, home, at);
  chunks.u32Of(kind);
  const group = own != 0 ? own : alternatives.replacementAt(section, offset);
  // A jump label that is a jump at first may become a NOP: what else may run is the code behind it.
  if (kind == alternatives.JUMP_LABEL && isDirectJump(byteAt(home, at))) {
    offset = at + instructionAt(home, at);
    section = home;
  }
  let length = instructionAt(section, offset);
  if (group == 0) {
    if (length != 0) add(section, offset, length, NO_NUMBER);
    return;
  }
  chunks.u32Of(alternatives.featureOf(group));
  replacement = group;
  const end = alternatives.endOf(group);
  while (length != 0 && offset < end) {
    add(section, offset, length, NO_NUMBER);
    offset += length;
    length = instructionAt(section, offset);
  }
  replacement = 0;
}
