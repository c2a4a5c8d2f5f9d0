/** Variables to which a livepatch gives a new value itself, by callbacks: which of them code writes to, so that their value is no initial one any more. */
import { RELA_WORDS, R_OFFSET, R_SYM, SHT_RELA, u64, type SymbolIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import { offsetReached } from '../places/place-of';
import type { Side } from '../side/side';

/** A variable by its name, and the ranges of its bytes that are written at patch. */
export interface SetData {
  name: string;
  ranges: ReadonlyArray<{ at: number; size: number }>;
}

/** A store to one of the ranges of a variable: by which function, to which byte. Stores through pointers show in no object. */
export function storeTo(
  side: Side,
  variable: SymbolIndex,
  { ranges }: SetData,
): { user: SymbolIndex; at: number } | undefined {
  const { table, object, identity } = side;
  const { section: home, start, end } = side.rangeOf(variable);
  for (let relas = 1; relas < table.sections; relas++) {
    if (object.type(relas) !== SHT_RELA) continue;
    const section = object.info(relas);
    const bits = table.sectionClass[section]!;
    if ((bits & SectionClass.ALLOC) === 0 || (bits & SectionClass.EXEC) === 0) continue;
    const { words, at: first, stop } = identity.relas.select(section, 0, object.size(section));
    for (let i = first; i < stop; i += RELA_WORDS) {
      const target = words[i + R_SYM]!;
      if (target >= table.symbols || table.section[target] !== home) continue;
      const field = u64(words, i + R_OFFSET);
      const user = identity.coverAt(section, field);
      const range = user === 0 ? { section, start: 0, end: object.size(section) } : side.rangeOf(user);
      const reached = offsetReached(side, range, words, i);
      if (reached < start || reached >= end) continue;
      const at = reached - start;
      if (!ranges.some((one) => at < one.at + one.size && at + WIDEST > one.at)) continue;
      const code = object.content(section).subarray(range.start, range.end);
      if (side.disassembler.access(code, field - range.start) === 'write') return { user, at };
    }
  }
  return undefined;
}

/** A store's width is not looked at: one that begins up to so many bytes before a range may reach into it. */
const WIDEST = 8;
