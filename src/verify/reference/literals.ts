import { SHF_MERGE, SHF_STRINGS } from '../../elf';
import type { Context } from '../context';
import type { ModuleRela } from '../module';
import { targetInCode } from '../references';
import type { Pair } from './code';
import type { ReferenceObject } from './object';

/** A reference into a string section of the object, and the module's relocation that stands for it. */
interface Use {
  offset: number;
  rela: ModuleRela;
  target: { section: number; offset: number };
}

/**
 * References into one literal keep their distances. Code compares them and counts from one to the other: `btf_show_end_aggr_type` (Linux
 * 6.12) holds the start of a literal of blanks and its NUL, and loops from the one to the other.
 */
export function checkLiterals(context: Context, pairs: readonly Pair[]): void {
  for (const object of new Set(pairs.map((pair) => pair.object))) {
    for (const [section, uses] of usesOf(context, object, pairs)) {
      uses.sort((a, b) => a.offset - b.offset);
      for (let i = 1; i < uses.length; i++) checkDistance(context, object, section, uses[i - 1]!, uses[i]!);
    }
  }
}

function usesOf(context: Context, object: ReferenceObject, pairs: readonly Pair[]): Map<number, Use[]> {
  const { module, code } = context;
  const found = new Map<number, Use[]>();
  for (const { section, symbol, relas, object: own } of pairs) {
    if (own !== object) continue;
    for (const [at, theirs] of relas) {
      const { section: place, value } = object.symbol(theirs.symbol);
      const strings = SHF_MERGE | SHF_STRINGS;
      const rela = module.relaAt(section, symbol.value + at);
      const instruction = rela && code.covering(section, rela.offset);
      if (
        place === 0 ||
        (object.elf.sectionFlags(place) & strings) !== strings ||
        rela === undefined ||
        instruction === undefined
      )
        continue;
      const target = targetInCode(module, rela, instruction);
      if (target.in !== 'module') continue;
      const behind = module.machine.relative.has(theirs.type)
        ? instruction.offset + instruction.length - rela.offset
        : 0;
      const use: Use = {
        offset: value + theirs.addend + behind,
        rela,
        target: { section: target.section.index, offset: target.offset },
      };
      const list = found.get(place);
      if (list === undefined) found.set(place, [use]);
      else list.push(use);
    }
  }
  return found;
}

/** Of two neighbours among the references: the second one may count from the first where no end of a string lies between them. */
function checkDistance(
  { findings }: Context,
  { elf }: ReferenceObject,
  section: number,
  first: Use,
  second: Use,
): void {
  const unit = Math.max(1, elf.entsize(section));
  const between = elf.content(section).subarray(first.offset, second.offset);
  for (let at = 0; at + unit <= between.length; at += unit)
    if (between.subarray(at, at + unit).every((byte) => byte === 0)) return;
  const distance = second.offset - first.offset;
  const same =
    first.target.section === second.target.section && second.target.offset - first.target.offset === distance;
  if (!same)
    findings.add(
      'verify-object-differs',
      { section: second.rela.section, offset: second.rela.offset },
      `it refers into a literal ${distance} bytes behind another reference, in the module elsewhere: the literal was torn`,
    );
}
