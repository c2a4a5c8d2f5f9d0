/** What a reference refers to, in terms that do not move with its neighbours. */
import { STT_SECTION } from '../generated/constants';
import * as chunks from './chunks';
import { covering } from './cover';
import { bitsOf, homeOf, lengthOf, nameOf, ownType, startsWith, valueOf } from './memory';
import { CONSTANTS, STRINGS, byteAt, entrySize, holds, numberIn } from './sections';
import { typeOf } from './symbols';

/** Whether the symbol lies among strings, which count by their text. */
export function isString(symbol: u32): bool {
  return (bitsOf(homeOf(symbol)) & STRINGS) != 0;
}

/** Whether the symbol is a constant without a name of its own (`.rodata.cst16`), which counts by its value. */
export function isConstant(symbol: u32): bool {
  if ((bitsOf(homeOf(symbol)) & CONSTANTS) == 0) return false;
  return ownType(symbol) == STT_SECTION || startsWith(nameOf(symbol), '.LC');
}

/**
 * The string at `offset` from the symbol, without its end. objtool ends it at the first zero byte also in sections of
 * 2- and 4-byte units, and so sees one character of `L"..."`; here a unit must be zero.
 */
export function string(symbol: u32, offset: i64): void {
  const section = homeOf(symbol);
  const start = valueOf(symbol) + offset;
  if (!holds(section, start)) return;
  const from = byteAt(section, start);
  const limit = byteAt(section, lengthOf(section));
  const unit = max<u64>(1, entrySize(section));
  let end = from;
  while (<u64>(limit - end) >= unit && !isZero(end, <u32>unit)) end += <usize>unit;
  chunks.bytes(from, <u32>(end - from));
}

function isZero(at: usize, count: u32): bool {
  for (let i: u32 = 0; i < count; i++) if (load<u8>(at + i) != 0) return false;
  return true;
}

/** The constant at `offset` from the symbol. */
export function constant(symbol: u32, offset: i64): void {
  const section = homeOf(symbol);
  const start = valueOf(symbol) + offset;
  if (!holds(section, start)) return;
  const stated = entrySize(section);
  const size = stated != 0 ? stated : <u64>numberIn(section);
  chunks.bytes(byteAt(section, start), <u32>min(size, <u64>lengthOf(section) - <u64>start));
}

/** The offset from the symbol that `named` returns. */
export let distance: i64 = 0;

/** The symbol that is meant, with `distance`: by name, else the smallest symbol that covers the place; 0 where none does. */
export function named(symbol: u32, offset: i64): u32 {
  distance = offset;
  if (typeOf(symbol) != STT_SECTION) return symbol;
  const home = homeOf(symbol);
  const found = home == 0 ? 0 : covering(home, offset);
  if (found != 0) distance = offset - valueOf(found);
  return found;
}
