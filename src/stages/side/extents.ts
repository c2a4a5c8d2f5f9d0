import type { ElfObject, Offset, SectionIndex } from '../../elf';
import { RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, R_TYPE, s64, u64 } from '../../elf';
import type { Arch } from '../../arch';
import { Trait, type Identity, type ScanTable } from '../scan';
import { collectPlaces, type AnonymousPlace } from './anonymous-places';
import type { Range } from './range';

/**
 * Where anonymous data begins and ends.
 *
 * A compiler-made section of its own (`.rodata..L__const.f`) is one object, wherever a reference points. Elsewhere nothing says where an object
 * ends: the next place that somebody refers to may lie in the middle of it (a list of names with NULs between, handed out whole by one function and in
 * part by another). So an extent is all that may belong together: it ends at symbols, where another unit's data begins, and where a table of labels
 * passes from one function to another. Copying or comparing more than the object does no harm.
 *
 * `.rodata` of a 7.2 kernel holds 12,297 bytes without a symbol, reached at 11 places; that of Debian's 6.12 155,667 at 560. Finding them takes a pass
 * over every rela, so it is made only when the contents around such a place differ, and once for all sections.
 */
export class AnonymousExtents {
  private places: Map<number, AnonymousPlace[]> | undefined;
  /** Where extents begin, by section, in order. */
  private readonly bounds = new Map<number, number[]>();

  constructor(
    private readonly object: ElfObject,
    private readonly table: ScanTable,
    private readonly arch: Arch,
    private readonly identity: Identity,
  ) {}

  /** Whether a section without symbols is one object. */
  isObject(section: SectionIndex): boolean {
    return (
      this.table.coverStart[section] === this.table.coverStart[section + 1] && this.object.name(section).includes('..L')
    );
  }

  /** The extent that `offset` of a section belongs to. What ends at a symbol or at the section's end holds its end, too. */
  at(section: SectionIndex, offset: Offset): Range {
    const gap = this.gapAt(section, offset);
    const bounds = this.boundsIn(section);
    const next = above(bounds.length, (i) => bounds[i]!, offset);
    const from = next > 0 && bounds[next - 1]! < gap.end ? bounds[next - 1]! : 0;
    return { section, start: Math.max(gap.start, from), end: Math.min(gap.end, bounds[next] ?? Infinity) };
  }

  /** Whether a compiler-made section is still one object: `ld -r` joins equally named ones of several units. */
  isOneObject(section: SectionIndex): boolean {
    return this.isObject(section) && this.boundsIn(section).length === 0;
  }

  private boundsIn(section: SectionIndex): number[] {
    let bounds = this.bounds.get(section);
    if (bounds === undefined) this.bounds.set(section, (bounds = this.boundsOf(section)));
    return bounds;
  }

  /** All that no symbol covers around an offset; before an offset where a symbol or nothing begins. */
  gapAt(section: SectionIndex, offset: Offset): Range {
    const { covers, coverStart, value, size } = this.table;
    if (coverStart[section] === coverStart[section + 1]) return { section, start: 0, end: this.object.size(section) };
    const first = coverStart[section]!;
    const count = coverStart[section + 1]! - first;
    const end = this.widestAt(section, offset).end;
    let start = 0;
    for (let i = above(count, (index) => value[covers[first + index]!]!, offset) - 1; i >= 0; i--) {
      const symbol = covers[first + i]!;
      start = Math.max(start, value[symbol]! + size[symbol]!);
      // Those before it end no later, but for one around it.
      if (this.identity.coverAt(section, value[symbol]! - 1) === 0) break;
    }
    return { section, start: Math.max(0, Math.min(start, offset)), end };
  }

  /** From an offset to the next symbol or the section's end, at no cost. */
  widestAt(section: SectionIndex, offset: Offset): Range {
    const { covers, coverStart, value } = this.table;
    const size = this.object.size(section);
    if (this.isObject(section)) return { section, start: 0, end: size };
    const first = coverStart[section]!;
    const count = coverStart[section + 1]! - first;
    const next = above(count, (i) => value[covers[first + i]!]!, offset);
    return { section, start: offset, end: next < count ? value[covers[first + next]!]! : size };
  }

  /** Whether anything loaded refers to a place. */
  isPlace(section: SectionIndex, offset: Offset): boolean {
    return this.firstPlaceIn({ section, start: offset, end: offset + 1 }) === offset;
  }

  /** The first place of a range that anything loaded refers to; its end where there is none. */
  firstPlaceIn({ section, start, end }: Range): number {
    const places = this.placesOf(section);
    return Math.min(end, places[above(places.length, (i) => places[i]!.offset, start - 1)]?.offset ?? Infinity);
  }

  /** Where the data around a field begins, as far as references tell: its symbol, or the last place up to it that anything loaded refers to. */
  baseOf(section: SectionIndex, field: number): number {
    const cover = this.identity.coverAt(section, field);
    if (cover !== 0) return this.table.value[cover]!;
    const places = this.placesOf(section);
    const last = above(places.length, (i) => places[i]!.offset, field) - 1;
    return Math.max(this.gapAt(section, field).start, last < 0 ? 0 : places[last]!.offset);
  }

  private placesOf(section: SectionIndex): readonly AnonymousPlace[] {
    return (this.places ??= collectPlaces(this.object, this.table, this.arch, this.identity)).get(section) ?? [];
  }

  private boundsOf(section: SectionIndex): number[] {
    const places = this.placesOf(section);
    const bounds = new Set<number>();
    let last = 0;
    let sure = true;
    for (const { offset, unit } of places) {
      if (this.identity.coverAt(section, offset) !== 0) continue;
      // What nobody knows the unit of may belong to what lies before it, or to what lies behind.
      if (unit === 0) sure = false;
      else {
        if (sure && last !== 0 && unit !== last) bounds.add(offset);
        [last, sure] = [unit, true];
      }
    }
    for (const bound of this.labelBounds(section, places)) bounds.add(bound);
    return [...bounds].sort((a, b) => a - b);
  }

  /** Where tables of labels of one function begin, and where those of another one or other data do. */
  private labelBounds(section: SectionIndex, places: readonly AnonymousPlace[]): number[] {
    const { table, arch, identity } = this;
    const { words, at, stop } = identity.relas.select(section, 0, this.object.size(section));
    const bounds: number[] = [];
    const from = (offset: Offset): number => above(places.length, (i) => places[i]!.offset, offset);
    let owner = 0;
    for (let i = at; i < stop; i += RELA_WORDS) {
      const field = u64(words, i + R_OFFSET);
      const symbol = words[i + R_SYM]!;
      if (symbol >= table.symbols || identity.coverAt(section, field) !== 0) continue;
      const start = places[from(field) - 1]?.offset ?? field;
      const code = table.section[symbol]!;
      const place =
        table.value[symbol]! + s64(words, i + R_ADDEND) - (arch.isPcRelative(words[i + R_TYPE]!) ? field - start : 0);
      let into = code < table.sections ? identity.coverAt(code, place) : 0;
      if (into !== 0 && place === table.value[into] && !table.has(into, Trait.COLD)) into = 0;
      // A case that is hardly ever taken stands in the cold part.
      if (
        into !== owner &&
        !(owner !== 0 && into !== 0 && (table.has(into, Trait.COLD) || table.has(owner, Trait.COLD)))
      )
        bounds.push(start);
      owner = into;
      // What somebody refers to behind the last label is something else.
      const next = owner === 0 ? undefined : places[from(field)]?.offset;
      if (next !== undefined && (i + RELA_WORDS >= stop || u64(words, i + RELA_WORDS + R_OFFSET) > next)) {
        bounds.push(next);
        owner = 0;
      }
    }
    return bounds;
  }
}

/** Index of the first of `count` ascending values that is greater than `limit`. */
export function above(count: number, value: (index: number) => number, limit: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value(middle) > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}
