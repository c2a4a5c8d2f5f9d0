import type { SectionIndex, SymbolIndex } from '../../../elf';
import type { KernelListing } from '../../../kernel/listing';
import type { Side } from '../../side/side';
import type { Evidence } from './evidence';
import type { OrigNames } from './orig-names';
import { sectionFamily } from './section-family';

/** A symbol of ORIG and where its neighbours say that it lies: between two entries of the listing, -1 for no bound. */
interface Bracket {
  symbol: SymbolIndex;
  /** What keeps its inner order: the section, or the unit by its FILE symbol. */
  whole: number;
  above: number;
  below: number;
}

/** Neighbours looked at before a bound is given up. */
const FARTHEST = 20_000;

/**
 * The order in which the link placed the symbols of one name, learnt from uniquely named symbols around them.
 *
 * A kernel linked from ORIG itself keeps its sections in order within each output section. One whose compiler used no
 * -ffunction-sections (every distribution's) keeps its units in order, while `ld -r` gathered `.text.type_show` of 13 units
 * in one section of ORIG. Which of the two holds is not assumed: each namesake must have exactly one entry, and every entry
 * must lie between the neighbours of its symbol.
 */
export class Neighbours implements Evidence {
  readonly text = 'order among uniquely named neighbours';
  private readonly families = new Map<number, string>();
  private readonly sectionBrackets = new Map<number, Bracket>();
  private readonly unitBrackets = new Map<number, Bracket | undefined>();

  constructor(
    private readonly orig: Side,
    private readonly listing: KernelListing,
    private readonly names: OrigNames,
  ) {}

  entryOf(symbol: SymbolIndex, namesakes: readonly SymbolIndex[], entries: readonly number[]): number | undefined {
    if (namesakes.length !== entries.length || namesakes.length > 1000) return undefined;
    const { table } = this.orig;
    // One that ORIG does not define has no neighbours, whatever locals of its name do.
    if (!namesakes.includes(symbol) || namesakes.some((other) => table.section[other]! >= table.sections))
      return undefined;
    const bySection = this.assign(
      symbol,
      namesakes.map((other) => remembered(this.sectionBrackets, other, () => this.bySections(other))),
      entries,
    );
    // Two of one name in one unit are the compiler's, whose order another build need not keep.
    const units = new Set(namesakes.map((other) => table.file[other]!));
    const byUnit =
      units.size < namesakes.length
        ? undefined
        : this.assign(
            symbol,
            namesakes.map((other) => remembered(this.unitBrackets, other, () => this.byUnits(other))),
            entries,
          );
    return bySection === undefined || byUnit === undefined || bySection === byUnit ? (bySection ?? byUnit) : undefined;
  }

  /** The entry of `symbol` when the namesakes take the entries in their order; undefined where brackets are missing, contradict, or leave a choice. */
  private assign(
    symbol: SymbolIndex,
    brackets: ReadonlyArray<Bracket | undefined>,
    entries: readonly number[],
  ): number | undefined {
    const ordered: Bracket[] = [];
    for (const bracket of brackets) {
      if (bracket === undefined) return undefined;
      ordered.push(bracket);
    }
    ordered.sort((a, b) => this.compare(a, b));
    for (let i = 0; i < ordered.length; i++)
      if (!this.holds(ordered[i]!, entries[i]!) || !this.sameSize(ordered[i]!.symbol, entries[i]!)) return undefined;
    const own = ordered.findIndex((bracket) => bracket.symbol === symbol);
    return this.hasChoice(ordered, entries, own) ? undefined : entries[own];
  }

  private holds({ above, below }: Bracket, entry: number): boolean {
    const { listing } = this;
    return (above < 0 || listing.compare(above, entry) < 0) && (below < 0 || listing.compare(entry, below) < 0);
  }

  /**
   * Whether the brackets allow the symbol another entry: it takes that of a second symbol, which takes that of a third, and so on
   * back to its own. Linking keeps the order within a section; between sections, which a script may sort by name, only brackets tell.
   */
  private hasChoice(ordered: readonly Bracket[], entries: readonly number[], own: number): boolean {
    const seen = new Set<number>();
    const open = [own];
    for (let i = open.pop(); i !== undefined; i = open.pop()) {
      for (let j = 0; j < ordered.length; j++) {
        if (
          j === i ||
          ordered[j]!.whole === ordered[i]!.whole ||
          (j !== own && seen.has(j)) ||
          !this.holds(ordered[i]!, entries[j]!)
        )
          continue;
        if (j === own) return true;
        seen.add(j);
        open.push(j);
      }
    }
    return false;
  }

  private compare(a: Bracket, b: Bracket): number {
    if (a.whole !== b.whole && a.above !== b.above)
      return a.above < 0 || b.above < 0 ? a.above - b.above : this.listing.compare(a.above, b.above);
    const { section, value } = this.orig.table;
    return (
      a.whole - b.whole ||
      section[a.symbol]! - section[b.symbol]! ||
      value[a.symbol]! - value[b.symbol]! ||
      a.symbol - b.symbol
    );
  }

  private sameSize(symbol: SymbolIndex, entry: number): boolean {
    return this.listing.kind === 'nm' || this.listing.columns.size[entry] === this.orig.table.size[symbol];
  }

  /** Neighbours in ORIG's sections of the family, in section order. */
  private bySections(symbol: SymbolIndex): Bracket {
    const { table } = this.orig;
    const section = table.section[symbol]!;
    const family = this.familyOf(section);
    const find = (step: 1 | -1): number => {
      let left = FARTHEST;
      for (let at = section; at > 0 && at < table.sections && left > 0; at += step) {
        if (at !== section && this.familyOf(at) !== family) continue;
        const from = table.coverStart[at]!;
        const to = table.coverStart[at + 1]!;
        for (let i = step > 0 ? from : to - 1; i >= from && i < to && left-- > 0; i += step) {
          const other = table.covers[i]!;
          if (at === section && (table.value[other]! - table.value[symbol]!) * step <= 0) continue;
          const entry = this.anchor(other);
          if (entry >= 0) return entry;
        }
      }
      return -1;
    };
    return { symbol, whole: section, above: find(-1), below: find(1) };
  }

  /** Neighbours in ORIG's units: the local symbols of the family in the nearest units before and behind that have any; undefined for a symbol of no unit. */
  private byUnits(symbol: SymbolIndex): Bracket | undefined {
    const { table } = this.orig;
    const file = table.file[symbol]!;
    if (file === 0) return undefined;
    const family = this.familyOf(table.section[symbol]!);
    const find = (step: 1 | -1): number => {
      let left = FARTHEST;
      let bound = -1;
      let unit = 0;
      for (let other = symbol; other > 0 && other < table.symbols && left-- > 0; other += step) {
        if (!table.isLocal(other) || (unit !== 0 && table.file[other] !== unit)) break;
        const section = table.section[other]!;
        if (
          table.file[other] === file ||
          section === 0 ||
          section >= table.sections ||
          table.size[other] === 0 ||
          this.familyOf(section) !== family
        )
          continue;
        const entry = this.anchor(other);
        if (entry < 0) continue;
        // A symbol table need not list a unit's functions by address: all of them count.
        unit = table.file[other]!;
        if (bound < 0 || this.listing.compare(entry, bound) * step < 0) bound = entry;
      }
      return bound;
    };
    return { symbol, whole: file, above: find(-1), below: find(1) };
  }

  /** The entry of a symbol that both sides have once; -1 for others. */
  private anchor(symbol: SymbolIndex): number {
    if (!this.names.isOnly(symbol)) return -1;
    const { object, table } = this.orig;
    return this.listing.only(object.bytes, table.name[symbol]!, this.names.length(symbol), this.names.cleaning);
  }

  private familyOf(section: SectionIndex): string {
    let family = this.families.get(section);
    if (family === undefined) {
      family = sectionFamily(this.orig.object.name(section));
      this.families.set(section, family);
    }
    return family;
  }
}

function remembered<T>(known: Map<number, T>, symbol: SymbolIndex, make: () => T): T {
  if (!known.has(symbol)) known.set(symbol, make());
  return known.get(symbol)!;
}
