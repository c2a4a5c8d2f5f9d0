import { RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, R_TYPE, SHT_RELA, s64, u64 } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Range } from '../side/range';
import type { Side } from '../side/side';
import { Trait } from '../scan';

/** Most alignment between a function and what it runs on into. */
const NEAR = 16;
/** Most bytes of an instruction behind a field. */
const TAIL = 4;

/**
 * Whether anything may execute or read a range of code that no symbol covers: by a relocation, by an operand that the assembler resolved, or by running on into it.
 *
 * @param counts which users count; they are canonical, 0 for what no symbol covers either
 */
export function isReached(side: Side, range: Range, counts: (user: number) => boolean = () => true): boolean {
  return hasRelocation(side, range, counts) || hasNeighbour(side, range, counts);
}

/** A pass over all relas, made where code without a name differs. */
function hasRelocation(
  { object, table, arch, identity }: Side,
  { section, start, end }: Range,
  counts: (user: number) => boolean,
): boolean {
  for (let relaSection = 1; relaSection < table.sections; relaSection++) {
    if (object.type(relaSection) !== SHT_RELA) continue;
    const bits = table.sectionClass[object.info(relaSection)]!;
    if ((bits & SectionClass.ALLOC) === 0 || (bits & SectionClass.DERIVED) !== 0) continue;
    const words = object.relas(relaSection);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      const symbol = words[at + R_SYM]!;
      if (symbol >= table.symbols || table.section[symbol] !== section) continue;
      const relative = (bits & SectionClass.EXEC) !== 0 && arch.isPcRelative(words[at + R_TYPE]!);
      const place = table.value[symbol]! + s64(words, at + R_ADDEND) + (relative ? arch.bias(words[at + R_TYPE]!) : 0);
      if (
        place >= start - (relative ? TAIL : 0) &&
        place < end &&
        counts(identity.coverAt(object.info(relaSection), u64(words, at + R_OFFSET)))
      )
        return true;
    }
  }
  return false;
}

/** Functions of the same section. Processors whose instructions are not decoded tell nothing: there all is reached. */
function hasNeighbour(side: Side, { section, start, end }: Range, counts: (user: number) => boolean): boolean {
  const { table, disassembler } = side;
  for (let i = table.coverStart[section]!; i < table.coverStart[section + 1]!; i++) {
    const symbol = table.covers[i]!;
    if (table.canonical[symbol] !== symbol || table.has(symbol, Trait.OBJECT) || !counts(symbol)) continue;
    const from = table.value[symbol]!;
    const code = disassembler.decode(side.bytes(symbol));
    const isIn = (target: number | undefined): boolean =>
      target !== undefined && from + target >= start && from + target < end;
    if (!code.some(({ flow }) => flow) || code.some(({ target, memory }) => isIn(target) || isIn(memory))) return true;
    if (
      from + table.size[symbol]! <= start &&
      start - from - table.size[symbol]! < NEAR &&
      code.findLast(({ padding }) => !padding)?.runsOn === true
    )
      return true;
  }
  return false;
}
