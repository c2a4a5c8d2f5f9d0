import { STB_LOCAL } from '../../elf';
import type { KernelListing } from '../../livepatch/listing';
import type { Side } from '../compare/side';
import type { Evidence } from './evidence';
import type { OrigNames } from './orig-names';
import { sectionFamily } from './section-family';

/** A symbol of ORIG and where its neighbours say that it lies: between two entries of the listing, -1 for no bound. */
interface Bracket {
  symbol: number;
  family: string;
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

  constructor(private readonly orig: Side, private readonly listing: KernelListing, private readonly names: OrigNames) {}

  entryOf(symbol: number, namesakes: readonly number[], entries: readonly number[]): number | undefined {
    if (namesakes.length !== entries.length || namesakes.length > 1000) return undefined;
    const { table } = this.orig;
    if (namesakes.some((other) => table.section[other]! >= table.sections)) return undefined;
    const bySection = this.assign(symbol, namesakes.map((other) => remembered(this.sectionBrackets, other, () => this.bySections(other))), entries);
    const byUnit = this.assign(symbol, namesakes.map((other) => remembered(this.unitBrackets, other, () => this.byUnits(other))), entries);
    return bySection === undefined || byUnit === undefined || bySection === byUnit ? bySection ?? byUnit : undefined;
  }

  /** The entry of `symbol` when the namesakes take the entries in their order; undefined where brackets are missing or contradict. */
  private assign(symbol: number, brackets: ReadonlyArray<Bracket | undefined>, entries: readonly number[]): number | undefined {
    const ordered: Bracket[] = [];
    for (const bracket of brackets) {
      if (bracket === undefined) return undefined;
      ordered.push(bracket);
    }
    ordered.sort((a, b) => this.compare(a, b));
    const { listing } = this;
    const holds = ({ above, below }: Bracket, entry: number): boolean => (above < 0 || listing.compare(above, entry) < 0) && (below < 0 || listing.compare(entry, below) < 0);
    for (let i = 0; i < ordered.length; i++) {
      const bracket = ordered[i]!;
      if (!holds(bracket, entries[i]!) || !this.sameSize(bracket.symbol, entries[i]!)) return undefined;
      // Within a family the order is the link's; between families only the brackets tell, which then must not allow the reverse.
      for (let j = 0; j < i; j++) if (ordered[j]!.family !== bracket.family && holds(ordered[j]!, entries[i]!) && holds(bracket, entries[j]!)) return undefined;
    }
    return entries[ordered.findIndex((bracket) => bracket.symbol === symbol)];
  }

  private compare(a: Bracket, b: Bracket): number {
    const { listing } = this;
    const { table } = this.orig;
    if (a.family !== b.family) {
      const first = a.above < 0 || b.above < 0 ? a.above - b.above : listing.compare(a.above, b.above);
      if (first !== 0) return first;
    } else if (a.above !== b.above && a.above >= 0 && b.above >= 0) return listing.compare(a.above, b.above);
    return table.section[a.symbol]! - table.section[b.symbol]! || table.value[a.symbol]! - table.value[b.symbol]! || a.symbol - b.symbol;
  }

  private sameSize(symbol: number, entry: number): boolean {
    return this.listing.kind === 'nm' || this.listing.columns.size[entry] === this.orig.table.size[symbol];
  }

  /** Neighbours in ORIG's sections of the family, in section order. */
  private bySections(symbol: number): Bracket {
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
    return { symbol, family, above: find(-1), below: find(1) };
  }

  /** Neighbours in ORIG's units: local symbols of the family in the units before and behind; undefined for a symbol of no unit. */
  private byUnits(symbol: number): Bracket | undefined {
    const { table } = this.orig;
    const file = table.file[symbol]!;
    if (file === 0) return undefined;
    const family = this.familyOf(table.section[symbol]!);
    const find = (step: 1 | -1): number => {
      let left = FARTHEST;
      for (let other = symbol; other > 0 && other < table.symbols && left-- > 0; other += step) {
        if (table.info[other]! >>> 4 !== STB_LOCAL) break;
        const section = table.section[other]!;
        if (table.file[other] === file || section === 0 || section >= table.sections || table.size[other] === 0 || this.familyOf(section) !== family) continue;
        const entry = this.anchor(other);
        if (entry >= 0) return entry;
      }
      return -1;
    };
    return { symbol, family, above: find(-1), below: find(1) };
  }

  /** The entry of a symbol that both sides have once; -1 for others. */
  private anchor(symbol: number): number {
    if (!this.names.isOnly(symbol)) return -1;
    const { object, table } = this.orig;
    return this.listing.only(object.bytes, table.name[symbol]!, this.names.length(symbol), this.names.cleaning);
  }

  private familyOf(section: number): string {
    let family = this.families.get(section);
    if (family === undefined) {
      family = sectionFamily(this.orig.object.name(section));
      this.families.set(section, family);
    }
    return family;
  }
}

function remembered<T>(known: Map<number, T>, symbol: number, make: () => T): T {
  if (!known.has(symbol)) known.set(symbol, make());
  return known.get(symbol)!;
}
