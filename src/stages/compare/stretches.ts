import type { SectionIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import { Trait } from '../scan';
import { unnumbered, withoutFilling } from './behind';
import { above } from '../side/extents';
import { Mapping } from '../side/mapping';
import { put } from '../../lists';
import { comparedGaps, type Gap } from './gaps';
import type { Range } from '../side/range';
import type { Side } from '../side/side';

/** A symbol without a size, and where it stands. */
export interface Label {
  name: string;
  at: number;
}

/** Bytes that no sized symbol covers, without the filling at both ends: assembly that has no `.size`, tables without names. */
export interface Stretch extends Range {
  /** Labels in it, counted from its start. */
  labels: readonly Label[];
  hasRelas: boolean;
  /** Functions that it goes with, where it is a piece of theirs; 0 for one that is not known. */
  owners: readonly number[];
  /** What tells which stretch of the other build it is: its labels; where it has none, the symbol before it. */
  key: string;
}

/** Those of some gaps of a build, in the order of its sections. */
export function stretchesOf(side: Side, gaps: readonly Gap[]): Stretch[] {
  if (gaps.length === 0) return [];
  const others = new OtherSymbols(side);
  const found: Stretch[] = [];
  for (const gap of comparedGaps(side, gaps)) {
    for (const piece of others.pieces(gap)) {
      const { hasRelas, ...stretch } = withoutFilling(side, piece);
      if (stretch.start === stretch.end && isCode(side, gap.section)) continue;
      const labels = others.labelsIn(piece, gap.behind === 0);
      // Zeros that have a name may become something else.
      if (stretch.start < stretch.end || labels.length > 0)
        found.push(stretchAt(side, stretch, labels, gap.before, hasRelas));
    }
  }
  return found;
}

function isCode({ table }: Side, section: SectionIndex): boolean {
  return (table.sectionClass[section]! & SectionClass.EXEC) !== 0;
}

function stretchAt(side: Side, range: Range, labels: readonly Label[], before: number, hasRelas: boolean): Stretch {
  const { table } = side;
  // Who stands before read-only data says nothing about it: compilers put tables where they like.
  const alone = (table.sectionClass[range.section]! & SectionClass.READONLY) !== 0 || before === 0;
  const key =
    labels.length > 0 || alone
      ? `${unnumbered(side, range.section)} ${labels.map((label) => uncounted(label.name)).join()}`
      : `behind ${table.hash[before * 2]} ${table.hash[before * 2 + 1]}`;
  return {
    ...range,
    hasRelas,
    owners: [],
    labels: labels.map((label) => ({ name: label.name, at: label.at - range.start })),
    key,
  };
}

/** A label without what `__COUNTER__` and `__LINE__` put into it. */
export function uncounted(name: string): string {
  return isCounted(name) ? name.replace(/\d+/g, '') : name;
}

export function isCounted(name: string): boolean {
  return /^__(?:UNIQUE_ID|initcall|initstub|BTF_ID|addressable)_/.test(name);
}

/** Symbols that are no covers, of sections with gaps: labels, and the names of preambles (`__cfi_f`), which are their functions'. */
class OtherSymbols {
  /** Symbols of each section, by value. */
  private readonly labels = new Map<number, number[]>();
  private readonly prefixes = new Map<number, Range[]>();

  constructor(private readonly side: Side) {
    const { symbols, section: sectionOf, size, traits, value } = side.table;
    const { code } = side.identity;
    for (let symbol = code.nextBesideCovers(1); symbol < symbols; symbol = code.nextBesideCovers(symbol + 1)) {
      const section = sectionOf[symbol]!;
      const start = value[symbol]!;
      if ((traits[symbol]! & Trait.PREFIX) !== 0)
        put(this.prefixes, section, { section, start, end: start + size[symbol]! });
      else put(this.labels, section, symbol);
    }
    for (const list of this.labels.values()) list.sort((a, b) => value[a]! - value[b]!);
    for (const list of this.prefixes.values()) list.sort((a, b) => a.start - b.start);
  }

  /** A gap without the preambles in it. */
  pieces({ section, start, end: behind }: Range): Range[] {
    const pieces: Range[] = [];
    let at = start;
    // The hash of the next function's type has no name on arm64. Taken for code, that of `int (void)` is a branch, `tbz`.
    const end = behind - Mapping.of(this.side).hashBefore(section, behind);
    const prefixes = this.prefixes.get(section) ?? [];
    for (
      let i = above(prefixes.length, (one) => prefixes[one]!.end, start);
      i < prefixes.length && prefixes[i]!.start < end;
      i++
    ) {
      if (prefixes[i]!.start > at) pieces.push({ section, start: at, end: prefixes[i]!.start });
      at = prefixes[i]!.end;
    }
    if (at < end) pieces.push({ section, start: at, end });
    return pieces;
  }

  labelsIn({ section, start, end }: Range, last: boolean): readonly Label[] {
    const labels = this.labels.get(section);
    if (labels === undefined) return [];
    const { value } = this.side.table;
    const from = above(labels.length, (one) => value[labels[one]!]!, start - 1);
    const to = above(labels.length, (one) => value[labels[one]!]!, last ? end : end - 1);
    return labels
      .slice(from, to)
      .map((symbol) => ({ name: this.side.name(symbol), at: value[symbol]! }))
      .filter(({ name }) => !/^(?:\.?L|\$)/.test(name))
      .sort((a, b) => a.at - b.at || (a.name < b.name ? -1 : 1));
  }
}
