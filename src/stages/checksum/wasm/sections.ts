/** What the sections are. */
import {
  codes,
  contentOf,
  header,
  is,
  keepRelas,
  keepSection,
  bitsOf,
  lengthOf,
  relasOf,
  sectionCell,
  sectionName,
  sections,
  startsWith,
} from './memory';
import { SHF_EXECINSTR, SHF_STRINGS, SHT_NOBITS, SHT_NULL, SHT_RELA } from '../generated/constants';
import { grow, overlapping } from './host';

/** Has instructions. */
export const CODE: u32 = 1;
/** Holds strings, which count by their text. */
export const STRINGS: u32 = 2;
/** Holds merged constants. */
export const CONSTANTS: u32 = 4;
/** May hold jump tables. */
export const TABLES: u32 = 8;
/** Holds those that C code makes itself (`__annotate_jump_table`); they have names. */
export const NAMED_TABLES: u32 = 16;
export const NOBITS: u32 = 32;
/** Tables of alternatives: `ALTERNATIVE << kind`. */
export const ALTERNATIVE: u32 = 64;

/** Of several rela sections of one the first counts. */
export function classifySections(from: u32, to: u32): void {
  for (let section = max(from, 1); section < to; section++) {
    const at = header(section);
    const type = load<u32>(at, 4);
    const flags = load<u32>(at, 8);
    const name = sectionName(section);
    let bits: u32 = 0;
    if (type == SHT_RELA) {
      const target = load<u32>(at, 44);
      if (relasOf(target) == 0) keepRelas(target, section);
    }
    if (type == SHT_NOBITS) bits |= NOBITS;
    else if ((flags & SHF_EXECINSTR) != 0) bits |= CODE;
    if ((flags & SHF_STRINGS) != 0) bits |= STRINGS;
    if (startsWith(name, '.rodata')) {
      if ((flags & SHF_STRINGS) == 0) bits |= TABLES;
      if (startsWith(name + 7, '.cst')) bits |= CONSTANTS;
    } else if (is(name, '.data.rel.ro.c_jump_table')) bits |= TABLES | NAMED_TABLES;
    else if (is(name, '.altinstructions')) bits |= ALTERNATIVE;
    else if (is(name, '__jump_table')) bits |= ALTERNATIVE << 1;
    else if (is(name, '__ex_table')) bits |= ALTERNATIVE << 2;
    const bytes = type == SHT_NOBITS || type == SHT_NULL ? 0 : load<u32>(at, 32);
    keepSection(section, load<u32>(at, 24), bytes, bits);
  }
}

/** Gives sections of code a byte for each of theirs, for the lengths of instructions. */
export function placeCode(fileSize: u32): void {
  let total: u64 = 0;
  for (let section: u32 = 1; section < sections; section++) {
    if ((bitsOf(section) & CODE) == 0) continue;
    total += lengthOf(section);
    if (total > fileSize) overlapping(section);
  }
  let at = grow(<u32>total);
  for (let section: u32 = 1; section < sections; section++) {
    if ((bitsOf(section) & CODE) == 0) continue;
    store<u32>(sectionCell(codes, section, 2), <u32>at);
    at += lengthOf(section);
  }
}

/** sh_entsize. */
export function entrySize(section: u32): u64 {
  return load<u64>(header(section), 56);
}

/** The number in a section's name: Clang 19 leaves the entry size of `.rodata.cst16` 0. */
export function numberIn(section: u32): u32 {
  let at = sectionName(section);
  while (load<u8>(at) != 0 && !isDigit(load<u8>(at))) at++;
  let number: u32 = 0;
  for (; isDigit(load<u8>(at)) && number < 0x10000; at++) number = number * 10 + load<u8>(at) - 0x30;
  return number;
}

function isDigit(byte: u32): bool {
  return byte >= 0x30 && byte <= 0x39;
}

/** Whether a place lies within a section's bytes. */
// @ts-ignore: decorator
@inline
export function holds(section: u32, offset: i64): bool {
  return <u64>offset < <u64>lengthOf(section);
}

/** Where the byte at `offset` lies, which `holds` has found to be there. */
// @ts-ignore: decorator
@inline
export function byteAt(section: u32, offset: i64): usize {
  return contentOf(section) + <usize>offset;
}
