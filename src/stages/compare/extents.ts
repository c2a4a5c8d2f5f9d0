import { RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, R_TYPE, SHT_RELA, s64, u64, type ElfObject } from '../../elf';
import type { Arch } from '../../arch';
import { SectionClass } from '../../livepatch/section-class';
import { Kind, type ScanTable } from '../scan';
import type { Range } from './range';

/**
 * Where anonymous data begins and ends.
 *
 * A compiler-made section of its own (`.rodata..L__const.f`) is one object, wherever a reference points. Elsewhere an extent
 * begins where it is referred to and ends at the next place that anything refers to: `.rodata` of a 7.2 kernel holds 12,297
 * bytes without a symbol, reached at 11 places. Finding them takes a pass over every rela (1.5 million, some 30 ms), so it is
 * made only when the contents around such a place differ, and once for all sections.
 */
export class AnonymousExtents {
  private places: Map<number, number[]> | undefined;

  constructor(private readonly object: ElfObject, private readonly table: ScanTable, private readonly arch: Arch) {}

  /** Whether a section without symbols is one object. */
  isObject(section: number): boolean {
    return this.table.coverStart[section] === this.table.coverStart[section + 1] && this.object.name(section).includes('..L');
  }

  /** The extent that `offset` of a section belongs to. */
  at(section: number, offset: number): Range {
    const widest = this.widestAt(section, offset);
    if (this.isObject(section)) return widest;
    const places = (this.places ??= this.collect()).get(section) ?? [];
    return { section, start: offset, end: Math.min(widest.end, places[above(places.length, (i) => places[i]!, offset)] ?? Infinity) };
  }

  /** As `at`, but up to the next symbol or the section's end: all that the extent can be, at no cost. */
  widestAt(section: number, offset: number): Range {
    const { covers, coverStart, value } = this.table;
    const size = this.object.size(section);
    if (this.isObject(section)) return { section, start: 0, end: size };
    const first = coverStart[section]!;
    const count = coverStart[section + 1]! - first;
    const next = above(count, (i) => value[covers[first + i]!]!, offset);
    return { section, start: offset, end: next < count ? value[covers[first + next]!]! : size };
  }

  /** The first place of a range that anything loaded refers to; its end where there is none. */
  firstPlaceIn({ section, start, end }: Range): number {
    const places = (this.places ??= this.collect()).get(section) ?? [];
    return Math.min(end, places[above(places.length, (i) => places[i]!, start - 1)] ?? Infinity);
  }

  /** Places that anything loaded refers to, by section, in order. */
  private collect(): Map<number, number[]> {
    const { object, table, arch } = this;
    const found = new Map<number, Set<number>>();
    for (let relaSection = 1; relaSection < table.sections; relaSection++) {
      if (object.type(relaSection) !== SHT_RELA) continue;
      const user = object.info(relaSection);
      const bits = table.sectionClass[user]!;
      if ((bits & SectionClass.ALLOC) === 0 || (bits & SectionClass.DERIVED) !== 0) continue;
      const words = object.relas(relaSection);
      for (let at = 0; at < words.length; at += RELA_WORDS) {
        const symbol = words[at + R_SYM]!;
        if (symbol >= table.symbols || table.kind[symbol] !== Kind.PLACE) continue;
        const section = table.section[symbol]!;
        if (section >= table.sections || (table.sectionClass[section]! & (SectionClass.STRING | SectionClass.EXEC)) !== 0) continue;
        let place = table.value[symbol]! + s64(words, at + R_ADDEND);
        if ((bits & SectionClass.EXEC) !== 0 && arch.isPcRelative(words[at + R_TYPE]!)) {
          const from = object.offset(user);
          const tail = arch.tail(object.bytes, from, from + u64(words, at + R_OFFSET));
          // A place that is not known cuts nothing: a longer extent only compares more.
          if (tail < 0) continue;
          place += arch.bias(words[at + R_TYPE]!) + tail;
        }
        const places = found.get(section);
        if (places === undefined) found.set(section, new Set([place]));
        else places.add(place);
      }
    }
    return new Map([...found].map(([section, places]) => [section, [...places].sort((a, b) => a - b)]));
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
