/**
 * What `objtool klp checksum` computes over every instruction, relocation and name of an object, in AssemblyScript for WebAssembly: in
 * JavaScript an object for each instruction of a 7.3 kernel took seven seconds.
 *
 * Functions that take a range are called for a few thousand at a time: V8 puts optimised code in place of its first, quick one between calls.
 */
import { STT_FUNC, STT_OBJECT, R_X86_64_PC32 } from '../generated/constants';
import * as chunks from './chunks';
import { covering as coverOf } from './cover';
import { addData } from './data';
import { addFunction } from './functions';
import { canonicalOf, checksums, homeOf, nameOf, parentOf, sizeOf, symbolCell, symbols } from './memory';
import { endOf, sameBytes } from './names';
import { typeOf } from './symbols';

// What the thread sets first.
export {
  columns,
  extended,
  file,
  headers,
  layOut,
  namesEnd,
  namesStart,
  sections,
  shards,
  stringsEnd,
  stringsStart,
  symbols,
  symtab,
} from './memory';

// The table, in this order; another thread takes it over with `shareAlternatives`.
export { classifySections, placeCode } from './sections';
export { orderPlaced, placeSymbols, reachPlaced, readSymbols, startPlaced } from './symbols';
export { joinColdParts } from './cold';
export { readAlternatives, shareAlternatives } from './alternatives';

/** Whether a symbol has a checksum: functions and objects with a size, one of each that has several names; cold parts go with their parents. */
function hasChecksum(symbol: u32): bool {
  const type = typeOf(symbol);
  return (
    (type == STT_FUNC || type == STT_OBJECT) &&
    parentOf(symbol) == 0 &&
    canonicalOf(symbol) == symbol &&
    sizeOf(symbol) != 0 &&
    homeOf(symbol) != 0
  );
}

/** Fills in the checksums of symbols [from, to). */
export function hashSymbols(from: u32, to: u32): void {
  chunks.reportParts(false);
  for (let symbol = from; symbol < to; symbol++)
    if (hasChecksum(symbol)) store<u64>(symbolCell(checksums, symbol, 3), hash(symbol));
}

/** Reports how the checksum of a symbol comes about, if it has one. */
export function reportSymbol(symbol: u32): void {
  if (!hasChecksum(symbol)) return;
  chunks.reportParts(true);
  hash(symbol);
  chunks.reportParts(false);
}

function hash(symbol: u32): u64 {
  chunks.reset();
  if (typeOf(symbol) == STT_FUNC) addFunction(symbol);
  else addData(symbol);
  return chunks.digest();
}

/** The next function or object from `from` on whose name is the `length` bytes at `name`; `symbols` at the end. */
export function nextNamed(from: u32, name: usize, length: u32): u32 {
  for (let symbol = from; symbol < symbols; symbol++) {
    const type = typeOf(symbol);
    if (type != STT_FUNC && type != STT_OBJECT) continue;
    if (<u32>(endOf(symbol) - nameOf(symbol)) == length && sameBytes(nameOf(symbol), name, length)) return symbol;
  }
  return symbols;
}

/** The symbol that covers a place, 0 for none. */
export function covering(section: u32, offset: f64): u32 {
  return coverOf(section, <i64>offset);
}

/** How many checksums there are. One that came out as 0 is none. */
export function countChecksums(): u32 {
  let count: u32 = 0;
  for (let symbol: u32 = 1; symbol < symbols; symbol++) if (load<u64>(symbolCell(checksums, symbol, 3)) != 0) count++;
  return count;
}

const CHECKSUM: u32 = 16;
const RELA: u32 = 24;

/** Writes them as `.discard.sym_checksum` has them: a symbol's address, which is the relocation's business, and its checksum. */
export function writeChecksums(content: usize, relas: usize): void {
  let offset: u32 = 0;
  for (let symbol: u32 = 1; symbol < symbols; symbol++) {
    const checksum = load<u64>(symbolCell(checksums, symbol, 3));
    if (checksum == 0) continue;
    store<u64>(content + offset, checksum, 8);
    store<u64>(relas, offset);
    store<u32>(relas, R_X86_64_PC32, 8);
    store<u32>(relas, symbol, 12);
    offset += CHECKSUM;
    relas += RELA;
  }
}

// By themselves, for tests.
export { xxh3 as hashBytes } from './xxh3';
export { lengthAt } from './lengths';
