import { SHN_UNDEF } from '../../../elf';
import type { KernelListing } from '../../../kernel/listing';
import type { Side } from '../../side/side';
import { nameCleaning } from './cleaning';
import type { Evidence } from './evidence';
import { FileOrder } from './file-order';
import { moduleRank } from './module-rank';
import { Neighbours } from './neighbours';
import { OrigNames } from './orig-names';
import { Symids } from './symids';

/** How the livepatch core finds a symbol of ORIG in the running kernel. */
export interface Position {
  /** 0 where the name is unique, else the 1-based rank among the kernel's symbols of that name. */
  sympos: number;
  /** The name that the kernel compares: the full one, but on some LTO kernels without what LTO appended. */
  name: string;
  /** What proves it, one phrase for the report. */
  evidence: string;
  /** The listing's entry; null where no listing has been seen, and for symbols of modules. */
  entry: number | null;
}

/** Why a symbol has no position: one sentence, and the diagnostic's code. */
export interface NoPosition {
  refused: string;
  code: 'position-unknown' | 'not-in-kernel';
}

/**
 * Positions of ORIG's symbols in the running kernel ("sympos"), each with its evidence.
 *
 * A name that the kernel has once needs none. Of several, `.klp.symid` of ORIG and the linked image decides; then the order
 * of FILE symbols of a linked image; then the order among uniquely named neighbours. What none of them decides is refused.
 */
export class SymbolPositions {
  private readonly names: OrigNames;
  private readonly known = new Map<number, Position | NoPosition>();
  private kinds: Evidence[] | undefined;

  /**
   * @param orig ORIG with its columns (digests are not needed)
   * @param objectName `vmlinux`, or the module's name as `lsmod` shows it
   * @param listing symbols of the running kernel, null where none were given
   */
  constructor(
    private readonly orig: Side,
    private readonly objectName: string,
    private readonly listing: KernelListing | null,
    /** What the kernel's image shows, which is asked before all others. */
    private readonly shown: Evidence | null = null,
  ) {
    this.names = new OrigNames(orig, objectName === 'vmlinux' ? nameCleaning(orig) : 'none');
  }

  /** The position of a symbol of ORIG, by number: defined, or one that only the linker script defines. Every call gives the same object. */
  positionOf(symbol: number): Position | NoPosition {
    let position = this.known.get(symbol);
    if (position === undefined) {
      position = this.objectName === 'vmlinux' ? this.inKernel(symbol) : this.inModule(symbol);
      this.known.set(symbol, position);
    }
    return position;
  }

  /** The kinds of evidence that these inputs allow, strongest first. */
  get evidence(): readonly Evidence[] {
    if (this.kinds === undefined) {
      const { orig, listing, names } = this;
      const kinds =
        listing === null
          ? []
          : [
              this.shown ?? undefined,
              Symids.read(orig, listing),
              FileOrder.read(orig, listing),
              new Neighbours(orig, listing, names),
            ];
      this.kinds = kinds.filter((kind) => kind !== undefined);
    }
    return this.kinds;
  }

  /** Which entries of the listing have the symbol's name, and which symbols of ORIG. */
  candidates(symbol: number): { entries: number[]; namesakes: number[] } {
    const { object, table } = this.orig;
    const entries =
      this.listing?.findBytes(object.bytes, table.name[symbol]!, this.names.length(symbol), this.names.cleaning) ?? [];
    return { entries, namesakes: this.names.namesakes(symbol) };
  }

  /** Whether the listing has the symbol's name at all; undefined for symbols that no kernel lists, or without a listing. */
  isListed(symbol: number): boolean | undefined {
    const { object, table } = this.orig;
    if (this.listing === null || !this.names.has(symbol)) return undefined;
    return this.listing.has(object.bytes, table.name[symbol]!, this.names.length(symbol), this.names.cleaning);
  }

  /** The position of a name that ORIG does not have at all: one that the running kernel has once. */
  positionNamed(name: string): Position | NoPosition {
    const entries = this.objectName === 'vmlinux' ? (this.listing?.find(name) ?? []) : [];
    if (entries.length === 1) return { sympos: 0, name, evidence: 'unique in the running kernel', entry: entries[0]! };
    return unknown(
      `the running kernel has ${entries.length === 0 ? 'no' : entries.length} symbols ${name} that were seen`,
    );
  }

  private inKernel(symbol: number): Position | NoPosition {
    const { listing, orig } = this;
    const name = this.nameOf(symbol);
    const { entries, namesakes } = this.candidates(symbol);
    if (listing === null) {
      if (orig.table.section[symbol] === SHN_UNDEF)
        return unknown(
          `ORIG does not define ${name}, and without the running kernel's symbols nothing tells whether it has it`,
        );
      if (namesakes.length > 1)
        return unknown(
          `ORIG has ${namesakes.length} symbols ${name}, and without the running kernel's symbols their order is not known`,
        );
      if (namesakes[0] !== symbol)
        return { code: 'not-in-kernel', refused: `${name} is of a kind that no kernel lists` };
      return { sympos: 0, name, evidence: 'unique in ORIG; the kernel was not seen', entry: null };
    }
    if (entries.length === 0) return { code: 'not-in-kernel', refused: `${listing.path} has no ${name}` };
    const isUndefined = orig.table.section[symbol] === SHN_UNDEF;
    if (!isUndefined && !namesakes.includes(symbol))
      return { code: 'not-in-kernel', refused: `${name} is of a kind that no kernel lists` };
    if (entries.length === 1 && namesakes.length === (isUndefined ? 0 : 1))
      return { sympos: 0, name, evidence: 'unique in the running kernel', entry: entries[0]! };
    for (const kind of this.evidence) {
      const entry = kind.entryOf(symbol, namesakes, entries);
      if (entry === 'contradicts')
        return unknown(`${kind.text} of ORIG and of ${listing.path} disagree about ${name}: they are not of one build`);
      if (entry !== undefined) return { sympos: this.rank(entry, entries), name, evidence: kind.text, entry };
    }
    const count = `${listing.path} has ${entries.length} symbols ${name}, ORIG ${namesakes.length}`;
    return unknown(`${count}: nothing tells which one is meant`);
  }

  /** Symbols at one address are one position, as upstream counts. */
  private rank(entry: number, entries: readonly number[]): number {
    if (entries.length === 1) return 0;
    const { low, high } = this.listing!.columns;
    return (
      1 +
      entries.filter(
        (other) => high[other]! < high[entry]! || (high[other] === high[entry] && low[other]! < low[entry]!),
      ).length
    );
  }

  private inModule(symbol: number): Position | NoPosition {
    const { orig, objectName, listing } = this;
    const name = this.nameOf(symbol);
    if (orig.table.section[symbol] === SHN_UNDEF)
      return { code: 'not-in-kernel', refused: `${objectName} does not define ${name}` };
    const { count, rank, unstable } = moduleRank(orig, symbol);
    if (unstable)
      return unknown(
        `${objectName} has ${count} symbols ${name}, one of them in code or data that is dropped after loading: positions change then`,
      );
    const loaded = listing?.findInModule(objectName, name);
    if (loaded?.length === 0)
      return { code: 'not-in-kernel', refused: `${listing!.path} has no ${name} in ${objectName}` };
    if (loaded !== undefined && loaded.length !== count)
      return unknown(`${listing!.path} has ${loaded.length} symbols ${name} in ${objectName}, ORIG ${count}`);
    const evidence = count === 1 ? `unique in ${objectName}` : `order in the symbol table of ${objectName}`;
    return {
      sympos: count === 1 ? 0 : rank,
      name,
      evidence: loaded === undefined ? `${evidence}; the loaded module was not seen` : evidence,
      entry: null,
    };
  }

  private nameOf(symbol: number): string {
    const { object, table } = this.orig;
    const start = table.name[symbol]!;
    return object.text(start, start + this.names.length(symbol));
  }
}

function unknown(refused: string): NoPosition {
  return { code: 'position-unknown', refused };
}
