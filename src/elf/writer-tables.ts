import { RELA_SIZE, SYM_SIZE } from './constants';
import { setU64 } from './encode';
import type { WriterSymbols } from './writer-symbols';

/** One relocation. `offset` is in bytes from the start of the section it applies to; `symbol` is a handle. */
export interface Rela {
  offset: number;
  type: number;
  symbol: number;
  addend: number | bigint;
}

/** Relocations: all of them, or their number and a way to produce them. A producer may reuse its row object. */
export type Relas = readonly Rela[] | { readonly count: number; rows(): Iterable<Rela> };

const RECORDS_PER_CHUNK = 2048;

export function relaCount(relas: Relas): number {
  return 'rows' in relas ? relas.count : relas.length;
}

/** RELA records in chunks. The chunk is reused. @throws RangeError for a symbol handle that was never given out */
export function* relaBytes(relas: Relas, symbolIndices: Uint32Array, little: boolean): Generator<Uint8Array> {
  // A kernel has 100,000 rela sections of a dozen records each: room for what there is, no more.
  const bytes = new Uint8Array(Math.min(relaCount(relas), RECORDS_PER_CHUNK) * RELA_SIZE);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const rela of 'rows' in relas ? relas.rows() : relas) {
    if (at === bytes.length && at > 0) {
      yield bytes;
      at = 0;
    }
    const symbol = symbolIndices[rela.symbol];
    if (symbol === undefined) throw new RangeError(`relocation at ${rela.offset} names symbol ${rela.symbol}, which does not exist`);
    setU64(view, at, rela.offset, little);
    // r_info is one 64-bit field: symbol in the high half, type in the low one.
    view.setUint32(at + (little ? 8 : 12), rela.type, little);
    view.setUint32(at + (little ? 12 : 8), symbol, little);
    setU64(view, at + 16, rela.addend, little);
    at += RELA_SIZE;
  }
  yield bytes.subarray(0, at);
}

/** The symbol table's records in their final order. The chunk is reused. */
export function* symbolBytes(symbols: WriterSymbols, order: Uint32Array): Generator<Uint8Array> {
  const bytes = new Uint8Array(RECORDS_PER_CHUNK * SYM_SIZE);
  let at = 0;
  for (const handle of order) {
    if (at === bytes.length) {
      yield bytes;
      at = 0;
    }
    bytes.set(symbols.record(handle), at);
    at += SYM_SIZE;
  }
  yield bytes.subarray(0, at);
}

/** SHT_SYMTAB_SHNDX in chunks: for each symbol in final order its section index where st_shndx is SHN_XINDEX, else 0. */
export function* extendedIndexBytes(symbols: WriterSymbols, order: Uint32Array, little: boolean): Generator<Uint8Array> {
  for (let from = 0; from < order.length; from += RECORDS_PER_CHUNK) {
    yield wordBytes(Array.from(order.subarray(from, from + RECORDS_PER_CHUNK), (handle) => symbols.extendedIndex(handle)), little);
  }
}

export function wordBytes(words: readonly number[], little: boolean): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((word, index) => view.setUint32(index * 4, word, little));
  return bytes;
}
