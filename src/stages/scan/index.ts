/**
 * scan: what is in an object?
 *
 * Two steps, so that the second can run on many threads: `readTable` fills the columns of one object (sections, symbols,
 * the address index), `digestShard` adds the digests of a range of symbols and notes the uses of ambiguous names.
 */
import { findGaps } from './gaps';
import { archOf } from '../../arch';
import { KlpflowError } from '../../diagnostics';
import type { ElfObject } from '../../elf';
import { Role } from '../../kernel/sections';
import { refuseUngenerated } from './ungenerated';
import { openTable, specialTables, type UnknownEntrySize } from './entries';
import type { StructSizes } from './entry-size';
import { Identity, inSlices } from './identity';
import { ScanTable, fitsMemory } from './table';
import { Trait } from './traits';

export { ScanTable, tableBytes, type SharedMemory } from './table';
export type { Shape } from '../../columns';
export {
  DOUBTFUL_USE,
  Kind,
  REACH_BEFORE,
  REACH_BEHIND,
  SPECIAL_TRAITS,
  SECTION_ABS,
  SECTION_COMMON,
  Trait,
} from './traits';
export { Identity } from './identity';
export { USE_WORDS } from './uses';

/** All columns of an object but the digests. @throws KlpflowError `malformed-elf`, `unsupported-object`, `input-too-large` */
export function readTable(object: ElfObject): ScanTable {
  archOf(object.machine, object.path);
  const shape = { symbols: object.symbolCount, sections: object.sectionCount };
  if (!fitsMemory(shape))
    throw new KlpflowError(
      'input-too-large',
      `${object.path}: ${shape.symbols} symbols and ${shape.sections} sections are more than fit into memory`,
      { object: object.path },
    );
  const table = new ScanTable(shape);
  const { symbols, sections } = table;
  const { code } = Identity.of(object, table);
  inSlices(1, sections, code.classifySections);
  inSlices(1, symbols, code.readSymbols);
  inSlices(1, symbols, code.countCovers);
  inSlices(0, sections, code.startCovers);
  inSlices(1, symbols, code.placeCovers);
  inSlices(1, sections, code.orderCovers);
  inSlices(1, sections, code.checkOverlaps);
  inSlices(1, symbols, code.markAmbiguous);
  code.clearSlots();
  deriveColumns(object, table);
  refuseUngenerated(object, table);
  return table;
}

/** Fills the columns that are not recorded, of a table that was. */
export function restoreColumns(object: ElfObject, table: ScanTable): void {
  inSlices(1, table.sections, Identity.of(object, table).code.placeSections);
  deriveColumns(object, table);
}

/** Fills the columns that follow from the others. Kinds, aliases and ambiguity must be known. */
function deriveColumns(object: ElfObject, table: ScanTable): void {
  const { code } = Identity.of(object, table);
  inSlices(1, table.sections, code.deriveSections);
  inSlices(1, table.symbols, code.deriveSymbols);
}

/** Work that is worth a shard: about 10 MB of content and symbols, some 60 ms. Larger ones leave a thread idle at the end. */
const SHARD_WEIGHT = 10e6;
const MOST_SHARDS = 64;

/**
 * Ranges of the covers of about equal work, as bounds from 0 to the symbol count. Work is content bytes and a constant a symbol,
 * estimated from every 32nd one.
 */
export function shardBounds({ symbols, covers, size }: ScanTable): number[] {
  const STEP = 32;
  const weights = new Float64Array(Math.ceil(symbols / STEP) + 1);
  for (let at = 0, i = 0; at < symbols; at += STEP, i++)
    weights[i + 1] = weights[i]! + (covers[at] === 0 ? 0 : STEP * (64 + Math.min(size[covers[at]!]!, 1e6)));
  const total = weights[weights.length - 1]!;
  const count = Math.min(MOST_SHARDS, Math.max(1, Math.ceil(total / SHARD_WEIGHT)));
  const bounds = [0];
  for (let i = 1; i < weights.length && bounds.length < count; i++) {
    if (weights[i]! >= (total * bounds.length) / count) bounds.push(Math.min(i * STEP, symbols));
  }
  while (bounds.length <= count) bounds.push(symbols);
  return bounds;
}

/** The symbols among covers [from, to) that have a digest of their own. */
export function contentSymbols({ traits, covers }: ScanTable, from: number, to: number): Uint32Array {
  const found = new Uint32Array(to - from);
  let count = 0;
  for (let i = from; i < to; i++)
    if ((traits[covers[i]!]! & (Trait.CONTENT | Trait.ALIAS)) === Trait.CONTENT) found[count++] = covers[i]!;
  return found.subarray(0, count);
}

/** Digests the content symbols among covers [from, to), which is the order of the file; returns the uses of ambiguous names, USE_WORDS words each. */
export function digestShard(object: ElfObject, table: ScanTable, from: number, to: number): Uint32Array {
  const identity = Identity.of(object, table);
  inSlices(from, to, identity.code.digestCovers);
  return identity.takeUses();
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

/** Digests the special-section entries into their functions' columns; returns their uses and the tables nothing could size, and what no symbol covers. */
export function digestSpecials(
  object: ElfObject,
  table: ScanTable,
  sizes: StructSizes,
): { uses: Uint32Array; unknown: UnknownEntrySize[]; traceKnown: boolean; gaps: Uint32Array } {
  const unknown: UnknownEntrySize[] = [];
  const identity = Identity.of(object, table);
  for (const special of specialTables(identity, sizes, unknown)) {
    openTable(identity, special);
    identity.code.digestEntries();
  }
  markSites(identity);
  const uses = identity.takeUses();
  return { uses, unknown, traceKnown: saysTraceable(object, table), gaps: findGaps(identity) };
}

/** Marks functions with an ftrace site, and those whose ENDBR is sealed. */
function markSites({ table, code }: Identity): void {
  for (let i = 0; i < table.roleCount; i++) {
    const section = table.roles[i]!;
    const role = table.sectionSpecial[section]!;
    const trait = role === Role.FTRACE_SITES ? Trait.TRACEABLE : role === Role.SEALS ? Trait.SEALED : 0;
    if (trait !== 0) code.markTargets(section, trait);
  }
}
