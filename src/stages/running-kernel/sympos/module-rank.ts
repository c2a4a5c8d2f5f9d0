import { SHN_UNDEF, STT_FILE, STT_SECTION, type SymbolIndex } from '../../../elf';
import type { Side } from '../../side/side';
import { Trait } from '../../scan/traits';

/** What a module's own symbol table says of a symbol. */
export interface ModuleRank {
  /** How many of its symbols the kernel meets under this name. */
  count: number;
  /** Which of them the symbol is, from 1. */
  rank: number;
  /** Whether one of them is in a section that the kernel drops after the module's initialization: the ranks then change. */
  unstable: boolean;
}

/**
 * The rank of a symbol in its module: the kernel goes through the module's symbol table in order, passes undefined symbols
 * over, and compares whole names.
 */
export function moduleRank({ object, table }: Side, symbol: SymbolIndex): ModuleRank {
  const { bytes } = object;
  const { name, nameLength, info, section } = table;
  const result: ModuleRank = { count: 0, rank: 0, unstable: false };
  const length = nameLength[symbol]!;
  let init = 0;
  for (let other = 1; other < table.symbols; other++) {
    const type = info[other]! & 0xf;
    if (nameLength[other] !== length || type === STT_SECTION || type === STT_FILE || section[other] === SHN_UNDEF)
      continue;
    let i = 0;
    while (i < length && bytes[name[other]! + i] === bytes[name[symbol]! + i]) i++;
    if (i < length) continue;
    result.count++;
    if (other === symbol) result.rank = result.count;
    if (table.has(other, Trait.INIT)) init++;
  }
  result.unstable = init > 0 && result.count > 1;
  return result;
}
