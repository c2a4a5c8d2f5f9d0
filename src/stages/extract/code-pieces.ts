import { RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, s64, u64, type Offset, type SectionIndex } from '../../elf';
import { holdsCodePieces } from '../../kernel/code-pieces';
import type { Range } from '../side/range';
import type { Side } from '../side/side';
import { specialTables } from '../scan/entries';
import type { Clones } from './clones';

/** Sections of code that is jumped to from elsewhere and back, a section a piece: alternatives of ppc64's feature tests, slow paths of refcounts. */
const WHOLE = /^__ftr_alt_|^\.text\.\.refcount$/;
const FIXUP = '.fixup';

/**
 * The piece of code without a symbol that an offset of a section lies in; undefined where the section holds no such pieces.
 *
 * `.fixup` (until 5.16) holds what runs after a fault, all of a unit's in one section: a piece begins where an entry of `__ex_table`
 * sends control to, and ends where the next one does.
 */
export function codePieceAt(side: Side, section: SectionIndex, offset: Offset): Range | undefined {
  const { object } = side;
  const name = object.name(section);
  const size = object.size(section);
  if (offset < 0 || offset >= size) return undefined;
  if (WHOLE.test(name)) return { section, start: 0, end: size };
  if (name !== FIXUP) return undefined;
  const starts = fixupStarts(side, section);
  const start = starts.findLast((place) => place <= offset);
  return start === undefined ? undefined : { section, start, end: starts.find((place) => place > offset) ?? size };
}

/**
 * Takes entries along whose site lies in a copied piece and which lead back to a copied function: `.text..refcount` of 4.15 to 5.4
 * faults on purpose, and its entry of `__ex_table` says where to go on.
 */
export function keepPieceEntries(side: Side, clones: Clones): void {
  const { table, identity, object } = side;
  const pieces = new Set(
    clones.code
      .filter(({ section, replacement }) => replacement && holdsCodePieces(object.name(section)))
      .map(({ section }) => section),
  );
  if (pieces.size === 0) return;
  for (const { section, rules, size } of specialTables(identity, side.structSizes, [])) {
    const { words, at, stop } = identity.relas.select(section, 0, object.size(section));
    const kept = new Map<number, { site: boolean; back: boolean }>();
    for (let i = at; i < stop; i += RELA_WORDS) {
      const offset = u64(words, i + R_OFFSET);
      const start = Math.floor(offset / size) * size;
      const symbol = words[i + R_SYM]!;
      const target = table.section[symbol]!;
      const place = table.value[symbol]! + s64(words, i + R_ADDEND);
      let entry = kept.get(start);
      if (entry === undefined) kept.set(start, (entry = { site: false, back: false }));
      if (offset - start === rules.site) entry.site = pieces.has(target) && clones.locate(target, place) !== undefined;
      else if (target < table.sections && !pieces.has(target))
        entry.back ||= clones.of(identity.objectAt(target, place)) !== undefined;
    }
    for (const [start, { site, back }] of kept) if (site && back) clones.entry({ section, start, end: start + size });
  }
}

const known = new WeakMap<Side, Map<number, number[]>>();

function fixupStarts(side: Side, fixup: number): number[] {
  let bySection = known.get(side);
  if (bySection === undefined) known.set(side, (bySection = new Map()));
  let starts = bySection.get(fixup);
  if (starts !== undefined) return starts;
  const { object, table } = side;
  const found = new Set<number>();
  for (let section = 1; section < table.sections; section++) {
    if (table.relaSection[section] === 0 || object.name(section) !== '__ex_table') continue;
    const words = object.relas(table.relaSection[section]!);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      const symbol = words[at + R_SYM]!;
      if (symbol < table.symbols && table.section[symbol] === fixup)
        found.add(table.value[symbol]! + s64(words, at + R_ADDEND));
    }
  }
  bySection.set(fixup, (starts = [...found].sort((a, b) => a - b)));
  return starts;
}
