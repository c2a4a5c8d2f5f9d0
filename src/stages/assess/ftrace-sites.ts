import {
  RELA_WORDS,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHF_LINK_ORDER,
  u64,
  type Offset,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import type { CodeRela } from '../../arch';
import type { Range } from '../side/range';
import type { Side } from '../side/side';
import { namesOf } from '../correlate';
import { Trait } from '../scan';
import { sectionsNamed } from '../scan/section-names';
import { tableRelasOf } from './side-relas';
import type { AssessInput } from './types';

const PATCHABLE = '__patchable_function_entries';
const MCOUNT = '__mcount_loc';

/** Where ftrace takes hold of the functions of one object: by its own tables, else by what the compiler put at their start. */
export class FtraceSites {
  private static readonly known = new WeakMap<Side, FtraceSites>();
  /** Null where sites stand in `__mcount_loc`, not in a section `__patchable_function_entries` a function. */
  readonly patchable: { linkOrder: boolean } | null;
  /** The first of these sections; 0 where there is none. */
  readonly table: number;
  private readonly patchablePlaces: ReadonlyMap<number, number[]>;
  private readonly listed: ReadonlyMap<number, number[]>;

  static of(side: Side): FtraceSites {
    let sites = FtraceSites.known.get(side);
    if (sites === undefined) FtraceSites.known.set(side, (sites = new FtraceSites(side)));
    return sites;
  }

  private constructor(private readonly side: Side) {
    const entries = side.arch.patchableSites ? sectionsNamed(side, PATCHABLE) : [];
    this.table = entries[0] ?? 0;
    this.patchable =
      entries.length === 0 ? null : { linkOrder: (side.object.sectionFlags(entries[0]!) & SHF_LINK_ORDER) !== 0 };
    this.patchablePlaces = placesOf(side, entries);
    this.listed = entries.length > 0 ? new Map() : placesOf(side, sectionsNamed(side, MCOUNT));
  }

  /**
   * The site of a function, in bytes from the start of its section; undefined where it has none. `made` says that no table of
   * the object lists it, so that the code there must be what the running kernel expects before it has looked.
   */
  siteOf(symbol: SymbolIndex): { offset: Offset; made: boolean } | undefined {
    const { table, object, arch } = this.side;
    const { section, start, end } = this.side.rangeOf(symbol);
    if (section >= table.sections) return undefined;
    const listed = this.listed.get(section)?.find((place) => place >= start && place < end);
    if (listed !== undefined) return { offset: listed, made: false };
    const content = object.content(section);
    const from = start - arch.leadIn(content, start);
    const patchable =
      this.patchable === null
        ? null
        : (this.patchablePlaces.get(section) ?? []).some((place) => place >= from && place < end);
    const offset = arch.ftraceSite({
      content,
      start,
      end,
      other: object.symbolOther(symbol),
      patchable,
      relas: this.relas(section, start, end),
    });
    return offset === undefined ? undefined : { offset, made: true };
  }

  /** The places that `__patchable_function_entries` lists in [start, end) of a section. */
  entriesIn({ section, start, end }: Range): number[] {
    return (this.patchablePlaces.get(section) ?? []).filter((place) => place >= start && place < end);
  }

  private relas(section: SectionIndex, start: number, end: number): CodeRela[] {
    const { side } = this;
    const { words, at, stop } = side.identity.relas.select(section, start, end);
    const relas: CodeRela[] = [];
    for (let i = at; i < stop; i += RELA_WORDS) {
      const offset = u64(words, i + R_OFFSET);
      if (offset >= start && offset < end && words[i + R_SYM]! < side.table.symbols)
        relas.push({ offset, type: words[i + R_TYPE]!, name: side.name(words[i + R_SYM]!) });
    }
    return relas;
  }
}

/**
 * Whether calls to an ORIG function can be redirected: by the running kernel's own list; else by ORIG's `__mcount_loc`; else, in an object
 * without one (a unit before objtool), by what the compiler put at the function's start. Padding is no site: units compiled without ftrace
 * (lib/xarray.c, lib/maple_tree.c) have that, too, and their livepatch fails to load ("failed to find location for function").
 */
export function hasFtraceSite({ orig, traceKnown, traceable, assumeSites }: AssessInput, symbol: SymbolIndex): boolean {
  if (orig.table.has(symbol, Trait.COLD)) return false;
  if (assumeSites === true) return true;
  if (traceable !== undefined) return namesOf(orig.table, symbol).some((name) => traceable.has(orig.name(name)));
  return traceKnown ? orig.table.has(symbol, Trait.TRACEABLE) : FtraceSites.of(orig).siteOf(symbol) !== undefined;
}

/** By section: the places in it that tables of addresses name. */
function placesOf(side: Side, tables: readonly number[]): Map<number, number[]> {
  const places = new Map<number, number[]>();
  for (const table of tables) {
    for (const { section, place } of tableRelasOf(side, table)) {
      const list = places.get(section);
      if (list === undefined) places.set(section, [place]);
      else list.push(place);
    }
  }
  return places;
}
