import { SHN_UNDEF, type SymbolIndex } from '../../../elf';
import type { KernelListing } from '../../../kernel/listing';
import type { Side } from '../../side/side';
import { nameCleaning } from './cleaning';
import type { Evidence } from './evidence';
import { FileOrder } from './file-order';
import { ModulePositions, type SeenModule } from './in-module';
import { Neighbours } from './neighbours';
import { OrigNames } from './orig-names';
import { unknown, type NoPosition, type Position } from './position';
import { Symids } from './symids';

/**
 * Positions of ORIG's symbols in the running kernel ("sympos"), each with its evidence.
 *
 * A name that the kernel has once needs none. Of several, `.klp.symid` of ORIG and the linked image decides; then the order
 * of FILE symbols of a linked image; then the order among uniquely named neighbours. What none of them decides is refused.
 */
export class SymbolPositions {
  private readonly names: OrigNames;
  private readonly known = new Map<number, Position | NoPosition>();
  private readonly ofModule: ModulePositions | null;
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
    /** The file of the module that is patched. */
    module: SeenModule | null = null,
  ) {
    this.ofModule = objectName === 'vmlinux' ? null : new ModulePositions(orig, objectName, listing, module);
    this.names = new OrigNames(orig, objectName === 'vmlinux' ? nameCleaning(orig) : 'none');
  }

  /** The position of a symbol of ORIG, by number: defined, or one that only the linker script defines. Every call gives the same object. */
  positionOf(symbol: SymbolIndex): Position | NoPosition {
    let position = this.known.get(symbol);
    if (position === undefined) {
      position = this.ofModule === null ? this.inKernel(symbol) : this.ofModule.positionOf(symbol);
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
  candidates(symbol: SymbolIndex): { entries: number[]; namesakes: SymbolIndex[] } {
    const { object, table } = this.orig;
    const entries =
      this.listing?.findBytes(object.bytes, table.name[symbol]!, this.names.length(symbol), this.names.cleaning) ?? [];
    return { entries, namesakes: this.names.namesakes(symbol) };
  }

  /** Whether the listing has the symbol's name at all; undefined for symbols that no kernel lists, or without a listing. */
  isListed(symbol: SymbolIndex): boolean | undefined {
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

  /** The position of a global name that ORIG does not define, and another unit of the object does; undefined where nothing shows that. */
  positionOfGlobal(name: string): Position | undefined {
    if (this.ofModule !== null) return this.ofModule.positionNamed(name);
    const { listing } = this;
    const entries = listing?.find(name) ?? [];
    const globals = entries.filter((entry) => listing!.isGlobal(entry));
    if (globals.length !== 1) return undefined;
    const evidence =
      entries.length === 1 ? 'unique in the running kernel' : 'the only global one in the running kernel';
    return { sympos: this.rank(globals[0]!, entries), name, evidence, entry: globals[0]! };
  }

  private inKernel(symbol: SymbolIndex): Position | NoPosition {
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

  private nameOf(symbol: SymbolIndex): string {
    const { object, table } = this.orig;
    const start = table.name[symbol]!;
    return object.text(start, start + this.names.length(symbol));
  }
}
