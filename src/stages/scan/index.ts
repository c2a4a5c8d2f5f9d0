/**
 * scan: what is in an object?
 *
 * Two steps, so that the second can run on many threads: `readTable` fills the columns of one object (sections, symbols,
 * the address index), `digestShard` adds the digests of a range of symbols and notes the uses of ambiguous names.
 */
import type { ElfObject } from '../../elf';
import { archOf } from '../../arch';
import { markAmbiguous } from './ambiguity';
import { indexCovers } from './covers';
import { deriveColumns } from './derive';
import { digestEntries, markSites, specialTables, type UnknownEntrySize } from './entries';
import type { StructSizes } from './entry-size';
import { Identity } from './identity';
import { classifySections } from './sections';
import { readSymbols } from './symbols';
import { ScanTable, Trait } from './table';
import { Uses } from './uses';

export { Kind, SECTION_ABS, SECTION_COMMON, ScanTable, Trait, type Shape } from './table';
export { Identity } from './identity';
export { deriveColumns } from './derive';
export { USE_WORDS } from './uses';

/** All columns of an object but the digests. @throws KlpflowError `malformed-elf`, `unsupported-object` */
export function readTable(object: ElfObject): ScanTable {
  archOf(object.machine, object.path);
  const table = new ScanTable({ symbols: object.symbolCount, sections: object.sectionCount });
  classifySections(object, table);
  readSymbols(object, table);
  indexCovers(table);
  markAmbiguous(table);
  deriveColumns(table);
  return table;
}

/** Work that is worth a shard: about 10 MB of content and symbols, some 60 ms. Larger ones leave a thread idle at the end. */
const SHARD_WEIGHT = 10e6;
const MOST_SHARDS = 64;

/**
 * Symbol ranges of about equal work, as bounds from 0 to the symbol count. Work is content bytes and a constant a symbol,
 * estimated from every 32nd one.
 */
export function shardBounds(table: ScanTable): number[] {
  const STEP = 32;
  const { symbols, traits, size } = table;
  const weights = new Float64Array(Math.ceil(symbols / STEP) + 1);
  for (let symbol = 0, i = 0; symbol < symbols; symbol += STEP, i++) {
    weights[i + 1] = weights[i]! + STEP * (64 + ((traits[symbol]! & Trait.CONTENT) !== 0 ? Math.min(size[symbol]!, 1e6) : 0));
  }
  const total = weights[weights.length - 1]!;
  const count = Math.min(MOST_SHARDS, Math.max(1, Math.ceil(total / SHARD_WEIGHT)));
  const bounds = [0];
  for (let i = 1; i < weights.length && bounds.length < count; i++) {
    if (weights[i]! >= (total * bounds.length) / count) bounds.push(Math.min(i * STEP, symbols));
  }
  while (bounds.length <= count) bounds.push(symbols);
  return bounds;
}

/** Symbols of [from, to) that have a digest of their own. */
export function contentSymbols({ traits }: ScanTable, from: number, to: number): Uint32Array {
  const symbols = new Uint32Array(to - from);
  let count = 0;
  for (let symbol = from; symbol < to; symbol++) if ((traits[symbol]! & (Trait.CONTENT | Trait.ALIAS)) === Trait.CONTENT) symbols[count++] = symbol;
  return symbols.subarray(0, count);
}

/** Digests symbols [from, to); returns the uses of ambiguous names, USE_WORDS words each. */
export function digestShard(object: ElfObject, table: ScanTable, from: number, to: number): Uint32Array {
  const arch = archOf(object.machine, object.path);
  // A sample of the range first, for V8's sake (see readSymbols); its uses are thrown away, its digests written again.
  const symbols = contentSymbols(table, from, to);
  const step = Math.max(1, Math.floor(symbols.length / 200));
  new Identity(object, table, arch, new Uses()).digestSymbols(symbols.filter((_, i) => i % step === 0));
  const uses = new Uses();
  new Identity(object, table, arch, uses).digestSymbols(symbols);
  return uses.take();
}

/**
 * Whether an object's `__mcount_loc` can be believed where it leaves a function out. recordmcount of older kernels knew no
 * `.text.NAME` section: in units built with function sections it lists `.init.text` and `.sched.text` alone.
 */
function saysTraceable(object: ElfObject, table: ScanTable): boolean {
  for (let i = 0; i < table.listedCount; i++) {
    const symbol = table.listed[i]!;
    if (table.has(symbol, Trait.TRACEABLE) && object.name(table.section[symbol]!).startsWith('.text')) return true;
  }
  return false;
}

/** Digests the special-section entries into their functions' columns; returns their uses and the tables nothing could size. */
export function digestSpecials(object: ElfObject, table: ScanTable, sizes: StructSizes): { uses: Uint32Array; unknown: UnknownEntrySize[]; traceKnown: boolean } {
  const uses = new Uses();
  const unknown: UnknownEntrySize[] = [];
  const identity = new Identity(object, table, archOf(object.machine, object.path), uses);
  digestEntries(identity, specialTables(identity, sizes, unknown));
  markSites(identity);
  return { uses: uses.take(), unknown, traceKnown: saysTraceable(object, table) };
}
