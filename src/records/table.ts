import { recordedOf, type RecordedName, type Shape, type ViewOf } from '../columns';
import { klpflow } from './generated/schema';
import { partsOf } from './parts';

/** The columns of a scanned object that are recorded. */
export type TableColumns = Shape & { readonly [N in RecordedName]: ViewOf<N> };

type Column = Uint8Array | Uint16Array | Uint32Array | Int32Array;
/** A batch's columns as bytes. */
type Fields = Record<string, Uint8Array>;

const SYMBOL_FIELDS = recordedOf('symbol');
const SECTION_FIELDS = recordedOf('section');

/** 65,536 symbols make 4 MiB of columns: big enough to be cheap, small enough to be read whole. */
const BATCH = 1 << 16;

/** A Table message, then batches that cover it, each as its parts. `later` are traits that are left out: others may be setting them meanwhile. */
export function* encodeTable(
  table: TableColumns,
  machine: number,
  littleEndian: boolean,
  later: number,
): Generator<Uint8Array | Uint8Array[]> {
  yield klpflow.Table.encode({
    symbols: table.symbols,
    sections: table.sections,
    machine,
    littleEndian,
  } as klpflow.Table).finish();
  for (let first = 0; first < table.sections; first += BATCH) {
    const count = Math.min(BATCH, table.sections - first);
    const batch: Record<string, number | Uint8Array> = { first, count };
    for (const { field, column } of SECTION_FIELDS) batch[field] = columnBytes(table[column], first, count);
    yield partsOf(klpflow.SectionBatch, batch);
  }
  for (let first = 0; first < table.symbols; first += BATCH) {
    const count = Math.min(BATCH, table.symbols - first);
    const batch: Record<string, number | Uint8Array> = { first, count };
    for (const { field, column, each } of SYMBOL_FIELDS)
      batch[field] = columnBytes(table[column], first * each, count * each);
    batch['traits'] = columnBytes(without(table.traits.slice(first, first + count), later));
    yield partsOf(klpflow.SymbolBatch, batch);
  }
}

function without(traits: Uint32Array, later: number): Uint32Array {
  for (let i = 0; i < traits.length; i++) traits[i]! &= ~later;
  return traits;
}

/** The shape that a Table message states. */
export function decodeShape(message: Uint8Array | undefined): Shape | undefined {
  if (message === undefined) return undefined;
  const { symbols, sections } = klpflow.Table.decode(message);
  return { symbols, sections };
}

/** Reads what `encodeTable` wrote into the table that `create` makes; undefined where the batches do not cover it. */
export function decodeTable<T extends TableColumns>(
  messages: Iterable<Uint8Array>,
  create: (shape: Shape) => T,
): T | undefined {
  let table: T | undefined;
  let sectionBatches = 0;
  let left = 0;
  for (const bytes of messages) {
    if (table === undefined) {
      const shape = decodeShape(bytes)!;
      sectionBatches = Math.ceil(shape.sections / BATCH);
      left = sectionBatches + Math.ceil(shape.symbols / BATCH);
      table = create(shape);
    } else if (left-- <= 0) return undefined;
    else if (sectionBatches-- > 0) {
      const batch = klpflow.SectionBatch.decode(bytes);
      for (const { field, column } of SECTION_FIELDS)
        if (!fill(table[column], batch.first, (batch as unknown as Fields)[field]!)) return undefined;
    } else {
      const batch = klpflow.SymbolBatch.decode(bytes);
      for (const { field, column, each } of SYMBOL_FIELDS)
        if (!fill(table[column], batch.first * each, (batch as unknown as Fields)[field]!)) return undefined;
    }
  }
  if (table === undefined || left > 0) return undefined;
  // One past the last section's covers, which no batch holds.
  table.coverStart[table.sections] = table.coverStart.length > 0 ? countCovers(table) : 0;
  return table;
}

/** The covers' count: they are packed at the front of their column and never 0. */
function countCovers(table: TableColumns): number {
  let low = 0;
  let high = table.symbols;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (table.covers[middle] !== 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A part of a column as bytes, without a copy. */
export function columnBytes(column: Column, from = 0, count = column.length - from): Uint8Array {
  return new Uint8Array(
    column.buffer,
    column.byteOffset + from * column.BYTES_PER_ELEMENT,
    count * column.BYTES_PER_ELEMENT,
  );
}

/** Copies bytes into a column at an element; false where they do not fit. */
function fill(column: Column, from: number, bytes: Uint8Array): boolean {
  const start = from * column.BYTES_PER_ELEMENT;
  if (start + bytes.length > column.byteLength || bytes.length % column.BYTES_PER_ELEMENT !== 0) return false;
  new Uint8Array(column.buffer, column.byteOffset, column.byteLength).set(bytes, start);
  return true;
}

/** Bytes of a message as a column of their own. A decoded message is a Buffer, whose `slice` would not copy. */
export function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(new Uint8Array(bytes).buffer);
}
