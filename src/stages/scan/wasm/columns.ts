/**
 * The columns of a ScanTable: what each holds is said in src/columns.ts, from which the names of their
 * addresses are generated; `Identity` (../identity.ts) says where they lie before the first call.
 * Every access compares its index with the shape: memory beyond a column is another column, and reading it would be a silent error. What
 * comes from the file is checked where it is read and answered with a diagnostic; a trap here is a bug.
 */
import {
  value,
  size,
  hash,
  section,
  canonical,
  traits,
  covers,
  around,
  kind,
  sectionClass,
  relaSection,
  coverStart,
  sole,
} from '../generated/columns';

export * from '../generated/columns';

export let symbols: u32 = 0;
export let sections: u32 = 0;

/** Where element `symbol` of a column of (1 << shift)-byte elements lies. */
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

// @ts-ignore: decorator
@inline
export function sectionOf(symbol: u32): u32 {
  return load<u32>(symbolCell(section, symbol, 2));
}

/** st_value of a symbol that lies in a section. */
// @ts-ignore: decorator
@inline
export function startOf(symbol: u32): i64 {
  return <i64>load<u32>(symbolCell(value, symbol, 2));
}

// @ts-ignore: decorator
@inline
export function sizeOf(symbol: u32): i64 {
  return <i64>load<u32>(symbolCell(size, symbol, 2));
}

// @ts-ignore: decorator
@inline
export function kindOf(symbol: u32): u32 {
  return load<u8>(symbolCell(kind, symbol, 0));
}

// @ts-ignore: decorator
@inline
export function traitsOf(symbol: u32): u32 {
  return load<u32>(symbolCell(traits, symbol, 2));
}

export function addTrait(symbol: u32, trait: u32): void {
  const at = symbolCell(traits, symbol, 2);
  store<u32>(at, load<u32>(at) | trait);
}

// @ts-ignore: decorator
@inline
export function canonicalOf(symbol: u32): u32 {
  return load<u32>(symbolCell(canonical, symbol, 2));
}

// @ts-ignore: decorator
@inline
export function lowHash(symbol: u32): u32 {
  return load<u32>(symbolCell(hash, symbol, 3));
}

// @ts-ignore: decorator
@inline
export function highHash(symbol: u32): u32 {
  return load<u32>(symbolCell(hash, symbol, 3), 4);
}

/** Number `index` of the covers. */
// @ts-ignore: decorator
@inline
export function cover(index: u32): u32 {
  return load<u32>(symbolCell(covers, index, 2));
}

/** 1 + the number of the cover around number `index`, 0 for none. */
// @ts-ignore: decorator
@inline
export function aroundCover(index: u32): u32 {
  return load<u32>(symbolCell(around, index, 2));
}

// @ts-ignore: decorator
@inline
export function classOf(section: u32): u32 {
  return load<u32>(sectionCell(sectionClass, section, 2));
}

// @ts-ignore: decorator
@inline
export function relasOf(section: u32): u32 {
  return load<u32>(sectionCell(relaSection, section, 2));
}

/** The covers of a section are [firstCover, lastCover). */
// @ts-ignore: decorator
@inline
export function firstCover(section: u32): u32 {
  return load<u32>(sectionCell(coverStart, section, 2));
}

// @ts-ignore: decorator
@inline
export function lastCover(section: u32): u32 {
  return load<u32>(sectionCell(coverStart, section, 2), 4);
}

/** The object that the section consists of, 0 for none. */
// @ts-ignore: decorator
@inline
export function soleOf(section: u32): u32 {
  return load<u32>(sectionCell(sole, section, 2));
}
