import type { Offset, SectionIndex, SymbolIndex } from './indices';
import { RELA_SIZE, SYM_SIZE } from './constants';
import { setU64 } from './encode';
import type { WritePass } from './writer-content';
import type { WriterSymbols } from './writer-symbols';

/** One relocation. `offset` is in bytes from the start of the section it applies to; `symbol` is a handle. */
export interface Rela {
  offset: Offset;
  type: number;
  symbol: SymbolIndex;
  addend: number | bigint;
}

/**
 * Relocations: all of them, or their number and a way to produce them for the section they apply to.
 * A producer may reuse its row object, and may serve any number of sections where the number stands beside it (`from`).
 */
export type Relas = readonly Rela[] | RelaSource | { readonly count: number; readonly from: Pick<RelaSource, 'rows'> };
export interface RelaSource {
  readonly count?: number;
  rows(section: SectionIndex): Iterable<Rela>;
}

const WORDS_PER_CHUNK = 8192;

/** The content of rela sections; `targets` says which section a rela section applies to. */
export class RelaContent {
  constructor(
    private readonly relas: readonly Rela[] | RelaSource,
    private readonly targets: { readonly infos: Uint32Array },
    private readonly little: boolean,
  ) {}

  get size(): number {
    return ('rows' in this.relas ? this.relas.count! : this.relas.length) * RELA_SIZE;
  }

  /** RELA records in chunks, which share one buffer. @throws RangeError for a symbol handle that was never given out */
  *chunks({ symbolIndices, records }: WritePass, section: SectionIndex): Generator<Uint8Array> {
    const { relas, little } = this;
    const bytes = new Uint8Array(records.buffer);
    const most = bytes.length - (bytes.length % RELA_SIZE);
    let at = 0;
    for (const rela of 'rows' in relas ? relas.rows(this.targets.infos[section]!) : relas) {
      const symbol = symbolIndices[rela.symbol];
      if (symbol === undefined)
        throw new RangeError(`relocation at ${rela.offset} names symbol ${rela.symbol}, which does not exist`);
      setU64(records, at, rela.offset, little);
      // r_info is one 64-bit field: symbol in the high half, type in the low one.
      records.setUint32(at + (little ? 8 : 12), rela.type, little);
      records.setUint32(at + (little ? 12 : 8), symbol, little);
      setU64(records, at + 16, rela.addend, little);
      at += RELA_SIZE;
      if (at < most) continue;
      yield bytes.subarray(0, at);
      at = 0;
    }
    if (at > 0) yield bytes.subarray(0, at);
  }
}

/** The symbol table's records in their final order, in chunks that share one buffer. */
export function* symbolBytes(
  symbols: WriterSymbols,
  order: Uint32Array,
  { records }: WritePass,
): Generator<Uint8Array> {
  const bytes = new Uint8Array(records.buffer);
  let at = 0;
  for (const handle of order) {
    if (at + SYM_SIZE > bytes.length) {
      yield bytes.subarray(0, at);
      at = 0;
    }
    symbols.copyRecord(handle, bytes, at);
    at += SYM_SIZE;
  }
  yield bytes.subarray(0, at);
}

/** SHT_SYMTAB_SHNDX in chunks: for each symbol in final order its section index where st_shndx is SHN_XINDEX, else 0. */
export function* extendedIndexBytes(
  symbols: WriterSymbols,
  order: Uint32Array,
  little: boolean,
): Generator<Uint8Array> {
  for (let from = 0; from < order.length; from += WORDS_PER_CHUNK) {
    yield wordBytes(
      Array.from(order.subarray(from, from + WORDS_PER_CHUNK), (handle) => symbols.extendedIndex(handle)),
      little,
    );
  }
}

export function wordBytes(words: readonly number[], little: boolean): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((word, index) => view.setUint32(index * 4, word, little));
  return bytes;
}
