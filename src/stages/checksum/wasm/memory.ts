/**
 * The object in memory: its bytes at the offsets that they have in the file, from `file` on, and columns behind them. Threads share it.
 * What comes from the file is compared with bounds before it is used as an address; a trap here is a bug.
 */
import { nameOutside } from './host';

export let file: usize = 0;
export let symbols: u32 = 0;
export let sections: u32 = 0;

// File offsets, which ElfObject.open has checked.
export let headers: u32 = 0;
export let namesStart: u32 = 0;
export let namesEnd: u32 = 0;
export let symtab: u32 = 0;
/** Of the extended section indices, 0 for none. */
export let extended: u32 = 0;
export let stringsStart: u32 = 0;
export let stringsEnd: u32 = 0;

/** Where the columns begin, of zeroed memory; `layOut` gives each its place. */
export let columns: usize = 0;

// By section.
let starts: usize = 0;
let lengths: usize = 0;
let bits: usize = 0;
let relaSections: usize = 0;
/** Place in memory of the relas' order, where that is not the file's; see relas.ts. */
export let orders: usize = 0;
/** Place in memory of the lengths of a section's instructions; see code.ts. */
export let codes: usize = 0;
export let decoded: usize = 0;
/** The symbols of section s are number placedFrom[s] to before placedFrom[s + 1] of `placed`. */
export let placedFrom: usize = 0;
/** The same of alternatives, by the section of their instruction. */
export let alternativesFrom: usize = 0;

// By symbol.
let homes: usize = 0;
let canonicals: usize = 0;
let colds: usize = 0;
let parents: usize = 0;
let sizes: usize = 0;
/** Bytes of the name by which others refer to the symbol. */
let nameLengths: usize = 0;
export let checksums: usize = 0;
/** Symbols in the order of section, place and number, and the furthest end of those of the section up to each. */
let placed: usize = 0;
let reaches: usize = 0;

/** Numbers that all threads need, once they are known. */
export let facts: usize = 0;
const FACTS: u32 = 8;

/** Words of the threads: which shards are taken and done. */
export let shards: usize = 0;

let end: usize = 0;

function take(bytes: u64): usize {
  const at = end;
  end = at + ((<usize>bytes + 7) & ~7);
  return at;
}

/** Gives the columns their places; returns where they end. */
export function layOut(): usize {
  end = columns;
  facts = take(FACTS << 2);
  shards = take(8);
  const s: u64 = sections;
  starts = take(s << 2);
  lengths = take(s << 2);
  bits = take(s << 2);
  relaSections = take(s << 2);
  orders = take(s << 2);
  codes = take(s << 2);
  decoded = take(s);
  placedFrom = take((s + 1) << 2);
  alternativesFrom = take((s + 1) << 2);
  const n: u64 = symbols;
  homes = take(n << 2);
  canonicals = take(n << 2);
  colds = take(n << 2);
  parents = take(n << 2);
  nameLengths = take(n << 2);
  placed = take(n << 2);
  sizes = take(n << 3);
  reaches = take(n << 3);
  checksums = take(n << 3);
  return end;
}

// @ts-ignore: decorator
@inline
export function fact(index: u32): u32 {
  return load<u32>(facts + (index << 2));
}

export function setFact(index: u32, value: u32): void {
  store<u32>(facts + (index << 2), value);
}

// @ts-ignore: decorator
@inline
export function symbolCell(column: usize, symbol: u32, shift: u32): usize {
  if (symbol >= symbols) unreachable();
  return column + ((<usize>symbol) << shift);
}

// @ts-ignore: decorator
@inline
export function sectionCell(column: usize, section: u32, shift: u32): usize {
  if (section >= sections) unreachable();
  return column + ((<usize>section) << shift);
}

/** Where a section's header lies. */
export function header(section: u32): usize {
  if (section >= sections) unreachable();
  return file + headers + section * 64;
}

/** Where a section's name lies, which ends in a NUL. */
export function sectionName(section: u32): usize {
  const start = <u64>namesStart + load<u32>(header(section));
  if (start >= namesEnd) nameOutside(section);
  return file + <usize>start;
}

/** Puts where a section's bytes are into its columns; `size` is 0 for one that has none. */
export function keepSection(section: u32, start: u32, size: u32, flags: u32): void {
  store<u32>(sectionCell(starts, section, 2), start);
  store<u32>(sectionCell(lengths, section, 2), size);
  store<u32>(sectionCell(bits, section, 2), flags);
}

/** Where a section's bytes lie in memory. */
// @ts-ignore: decorator
@inline
export function contentOf(section: u32): usize {
  return file + load<u32>(sectionCell(starts, section, 2));
}

/** How many they are: none of SHT_NOBITS. */
// @ts-ignore: decorator
@inline
export function lengthOf(section: u32): u32 {
  return load<u32>(sectionCell(lengths, section, 2));
}

// @ts-ignore: decorator
@inline
export function bitsOf(section: u32): u32 {
  return load<u32>(sectionCell(bits, section, 2));
}

/** The section of a section's relas, 0 for none. */
// @ts-ignore: decorator
@inline
export function relasOf(section: u32): u32 {
  return load<u32>(sectionCell(relaSections, section, 2));
}

export function keepRelas(section: u32, relas: u32): void {
  store<u32>(sectionCell(relaSections, section, 2), relas);
}

// @ts-ignore: decorator
@inline
export function homeOf(symbol: u32): u32 {
  return load<u32>(symbolCell(homes, symbol, 2));
}

export function setHome(symbol: u32, section: u32): void {
  store<u32>(symbolCell(homes, symbol, 2), section);
}

/** The last symbol of equal place, type and size. */
// @ts-ignore: decorator
@inline
export function canonicalOf(symbol: u32): u32 {
  return load<u32>(symbolCell(canonicals, symbol, 2));
}

export function setCanonical(symbol: u32, other: u32): void {
  store<u32>(symbolCell(canonicals, symbol, 2), other);
}

/** Cold part of a function, 0 for none. */
// @ts-ignore: decorator
@inline
export function coldOf(symbol: u32): u32 {
  return load<u32>(symbolCell(colds, symbol, 2));
}

export function setCold(symbol: u32, cold: u32): void {
  store<u32>(symbolCell(colds, symbol, 2), cold);
}

/** The function that a cold part belongs to, 0 for none. */
// @ts-ignore: decorator
@inline
export function parentOf(symbol: u32): u32 {
  return load<u32>(symbolCell(parents, symbol, 2));
}

export function setParent(symbol: u32, parent: u32): void {
  store<u32>(symbolCell(parents, symbol, 2), parent);
}

/** st_size, without a cold part that lies at the function's end. */
// @ts-ignore: decorator
@inline
export function sizeOf(symbol: u32): i64 {
  return load<i64>(symbolCell(sizes, symbol, 3));
}

export function setSize(symbol: u32, size: i64): void {
  store<i64>(symbolCell(sizes, symbol, 3), size);
}

// @ts-ignore: decorator
@inline
export function nameLengthOf(symbol: u32): u32 {
  return load<u32>(symbolCell(nameLengths, symbol, 2));
}

export function setNameLength(symbol: u32, length: u32): void {
  store<u32>(symbolCell(nameLengths, symbol, 2), length);
}

/** Symbol number `index` of those that are in the order of places. */
// @ts-ignore: decorator
@inline
export function placedAt(index: u32): u32 {
  return load<u32>(symbolCell(placed, index, 2));
}

export function place(index: u32, symbol: u32): void {
  store<u32>(symbolCell(placed, index, 2), symbol);
}

// @ts-ignore: decorator
@inline
export function reachAt(index: u32): i64 {
  return load<i64>(symbolCell(reaches, index, 3));
}

export function setReach(index: u32, reach: i64): void {
  store<i64>(symbolCell(reaches, index, 3), reach);
}

// @ts-ignore: decorator
@inline
export function firstPlaced(section: u32): u32 {
  return load<u32>(sectionCell(placedFrom, section, 2));
}

// @ts-ignore: decorator
@inline
export function lastPlaced(section: u32): u32 {
  return load<u32>(sectionCell(placedFrom, section, 2), 4);
}

// Fields of the symbol table.

// @ts-ignore: decorator
@inline
export function record(symbol: u32): usize {
  return symbolCell(file + symtab, symbol, 0) + symbol * 23;
}

// @ts-ignore: decorator
@inline
export function valueOf(symbol: u32): i64 {
  return load<i64>(record(symbol), 8);
}

/** The type that the table says. */
// @ts-ignore: decorator
@inline
export function ownType(symbol: u32): u32 {
  return load<u8>(record(symbol), 4) & 0xf;
}

// @ts-ignore: decorator
@inline
export function bindingOf(symbol: u32): u32 {
  return load<u8>(record(symbol), 4) >>> 4;
}

/** Where a symbol's name lies, which ends in a NUL; `readSymbols` has checked that it does. */
// @ts-ignore: decorator
@inline
export function nameOf(symbol: u32): usize {
  return file + stringsStart + load<u32>(record(symbol));
}

/** Whether the NUL-terminated text at `at` begins with an ASCII string. */
export function startsWith(at: usize, text: string): bool {
  for (let i = 0; i < text.length; i++) if (load<u8>(at + i) != text.charCodeAt(i)) return false;
  return true;
}

/** Whether it is that string. */
export function is(at: usize, text: string): bool {
  return startsWith(at, text) && load<u8>(at + text.length) == 0;
}

/** Where the text ends: its NUL. */
export function textEnd(at: usize): usize {
  while (load<u8>(at) != 0) at++;
  return at;
}
