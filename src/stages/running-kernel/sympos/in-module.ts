import { SHN_UNDEF, type SymbolIndex } from '../../../elf';
import type { KernelListing } from '../../../kernel/listing';
import type { Side } from '../../side/side';
import type { Evidence } from './evidence';
import { moduleRank } from './module-rank';
import { unknown, type NoPosition, type Position } from './position';

/** The module's own file, as far as positions go: entries are its defined symbols in table order. */
export interface ModuleFile {
  readonly path: string;
  entriesOf(bytes: Uint8Array, start: number, length: number): number[];
  isGlobal(entry: number): boolean;
  /** Whether the kernel drops it after the module's initialization. */
  isDropped(entry: number): boolean;
}

/** What is known of a module besides ORIG. */
export interface SeenModule {
  file: ModuleFile;
  /** What equal code of the file shows. */
  shown: Evidence;
}

/** Positions of a module's symbols: the kernel goes through the module's own symbol table in order, and passes undefined ones over. */
export class ModulePositions {
  constructor(
    private readonly orig: Side,
    private readonly name: string,
    private readonly listing: KernelListing | null,
    /** The finished module; without it ORIG must be the whole of it. */
    private readonly seen: SeenModule | null,
  ) {}

  positionOf(symbol: SymbolIndex): Position | NoPosition {
    return this.seen === null ? this.inOrig(symbol) : this.inFile(symbol, this.seen);
  }

  /** A global name that the finished module defines, in whichever of its units; undefined where it does not, or was not given. */
  positionNamed(name: string): Position | undefined {
    if (this.seen === null) return undefined;
    const { file } = this.seen;
    const bytes = new Uint8Array(Buffer.from(name, 'utf8'));
    const entries = file.entriesOf(bytes, 0, bytes.length);
    const globals = entries.filter((entry) => file.isGlobal(entry));
    if (globals.length !== 1 || isUnstable(entries, file)) return undefined;
    return {
      sympos: rank(globals[0]!, entries),
      name,
      evidence: `the only global one in ${this.name}`,
      entry: globals[0]!,
    };
  }

  private inFile(symbol: SymbolIndex, { file, shown }: SeenModule): Position | NoPosition {
    const { object, table } = this.orig;
    const name = this.orig.name(symbol);
    const entries = file.entriesOf(object.bytes, table.name[symbol]!, table.nameLength[symbol]!);
    const isUndefined = table.section[symbol] === SHN_UNDEF;
    // A unit refers to what another one defines by a global name; a static of that name is not meant.
    const meant = isUndefined ? entries.filter((entry) => file.isGlobal(entry)) : entries;
    if (meant.length === 0) return { code: 'not-in-kernel', refused: `${file.path} has no ${name}` };
    if (isUnstable(entries, file)) return unstable(this.name, entries.length, name);
    const own = isUndefined ? 0 : moduleRank(this.orig, symbol).count;
    if (meant.length === 1 && own <= 1)
      return { sympos: rank(meant[0]!, entries), name, evidence: `unique in ${this.name}`, entry: meant[0]! };
    const found = shown.entryOf(symbol, [], meant);
    if (found === 'contradicts')
      return unknown(`${shown.text} and ORIG disagree about ${name}: they are not of one build`);
    if (found === undefined)
      return unknown(`${file.path} has ${meant.length} symbols ${name}: nothing tells which one is meant`);
    return { sympos: rank(found, entries), name, evidence: shown.text, entry: found };
  }

  private inOrig(symbol: SymbolIndex): Position | NoPosition {
    const { orig, name: module, listing } = this;
    const name = orig.name(symbol);
    if (orig.table.section[symbol] === SHN_UNDEF)
      return { code: 'not-in-kernel', refused: `${module} does not define ${name}` };
    const { count, rank: place, unstable: isDropped } = moduleRank(orig, symbol);
    if (isDropped) return unstable(module, count, name);
    const loaded = listing?.findInModule(module, name);
    if (loaded?.length === 0) return { code: 'not-in-kernel', refused: `${listing!.path} has no ${name} in ${module}` };
    if (loaded !== undefined && loaded.length !== count)
      return unknown(`${listing!.path} has ${loaded.length} symbols ${name} in ${module}, ORIG ${count}`);
    const evidence = count === 1 ? `unique in ${module}` : `order in the symbol table of ${module}`;
    return {
      sympos: count === 1 ? 0 : place,
      name,
      evidence: loaded === undefined ? `${evidence}; the loaded module was not seen` : evidence,
      entry: null,
    };
  }
}

function rank(entry: number, entries: readonly number[]): number {
  return entries.length === 1 ? 0 : entries.indexOf(entry) + 1;
}

function isUnstable(entries: readonly number[], file: ModuleFile): boolean {
  return entries.length > 1 && entries.some((entry) => file.isDropped(entry));
}

function unstable(module: string, count: number, name: string): NoPosition {
  return unknown(
    `${module} has ${count} symbols ${name}, one of them in code or data that is dropped after loading: positions change then`,
  );
}
