import { STT_FILE } from '../../elf';
import { SectionClass } from '../../livepatch/section-class';
import { REFERENCE_AMBIGUOUS, Trait, type ScanTable } from './table';

/**
 * Fills the columns that follow from the others and are not recorded: `reference`, `listed`, `roles`, `coverEnd`. Kinds, aliases and
 * ambiguity must be known.
 */
export function deriveColumns(table: ScanTable): void {
  const { reference, listed, hash, canonical, kind, traits, info, symbols } = table;
  let count = 0;
  let cold = 0;
  for (let symbol = 1, at = 4; symbol < symbols; symbol++, at += 4) {
    const target = canonical[symbol]!;
    reference[at] = hash[target * 2]!;
    reference[at + 1] = hash[target * 2 + 1]!;
    reference[at + 2] = target;
    reference[at + 3] = kind[symbol]! | (traits[target]! & Trait.AMBIGUOUS ? REFERENCE_AMBIGUOUS : 0);
    if ((traits[symbol]! & Trait.CORRELATABLE) !== 0 || (info[symbol]! & 0xf) === STT_FILE) listed[count++] = symbol;
    if ((traits[symbol]! & Trait.COLD) !== 0) cold++;
  }
  table.listedCount = count;
  table.coldCount = cold;

  const { roles, sectionSpecial, sectionClass, sections, covers, coverStart, coverEnd, value, size } = table;
  let found = 0;
  for (let section = 1; section < sections; section++) {
    for (let i = coverStart[section]!, stop = coverStart[section + 1]!, end = 0; i < stop; i++) {
      const cover = covers[i]!;
      end = Math.max(end, value[cover]! + size[cover]!);
      coverEnd[i] = end;
    }
    if (sectionSpecial[section] !== 0 || (sectionClass[section]! & SectionClass.RECORD) !== 0) roles[found++] = section;
  }
  table.roleCount = found;
}
