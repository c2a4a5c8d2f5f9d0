import { RELA_WORDS, R_ADDEND, R_SYM, s64 } from '../../elf';
import type { Range, Side } from '../compare';

/** Sections of code that is jumped to from elsewhere and back, a section a piece: alternatives of ppc64's feature tests, slow paths of refcounts. */
const WHOLE = /^__ftr_alt_|^\.text\.\.refcount$/;
const FIXUP = '.fixup';

/**
 * The piece of code without a symbol that an offset of a section lies in; undefined where the section holds no such pieces.
 *
 * `.fixup` (until 5.16) holds what runs after a fault, all of a unit's in one section: a piece begins where an entry of `__ex_table`
 * sends control to, and ends where the next one does.
 */
export function codePieceAt(side: Side, section: number, offset: number): Range | undefined {
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
      if (symbol < table.symbols && table.section[symbol] === fixup) found.add(table.value[symbol]! + s64(words, at + R_ADDEND));
    }
  }
  bySection.set(fixup, (starts = [...found].sort((a, b) => a - b)));
  return starts;
}
