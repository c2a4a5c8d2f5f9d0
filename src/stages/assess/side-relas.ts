import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  s64,
  u64,
  type Offset,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import type { Side } from '../side/side';

/** A relocation of a table as it stands in the file. */
export interface TableRela {
  offset: Offset;
  type: number;
  symbol: SymbolIndex;
  /** Section and offset that it names; section 0 for undefined symbols. */
  section: SectionIndex;
  place: number;
}

/** The relocations of a section in file order. */
export function tableRelasOf({ object, table }: Side, section: SectionIndex): TableRela[] {
  const relaSection = table.relaSection[section]!;
  if (relaSection === 0) return [];
  const words = object.relas(relaSection);
  const relas: TableRela[] = [];
  for (let at = 0; at < words.length; at += RELA_WORDS) {
    const symbol = words[at + R_SYM]!;
    if (symbol >= table.symbols)
      object.malformed(
        object.offset(relaSection),
        `a rela of section ${section} names symbol ${symbol} of ${table.symbols}`,
      );
    const target = table.section[symbol]!;
    relas.push({
      offset: u64(words, at + R_OFFSET),
      type: words[at + R_TYPE]!,
      symbol,
      section: target < table.sections ? target : 0,
      place: table.value[symbol]! + s64(words, at + R_ADDEND),
    });
  }
  return relas;
}

/** Whether a relocation of a section names a place in one of `targets`. */
export function refersTo({ object, table }: Side, section: SectionIndex, targets: ReadonlySet<number>): boolean {
  const words = object.relas(table.relaSection[section]!);
  for (let at = R_SYM; at < words.length; at += RELA_WORDS) {
    const symbol = words[at]!;
    if (symbol < table.symbols && targets.has(table.section[symbol]!)) return true;
  }
  return false;
}
