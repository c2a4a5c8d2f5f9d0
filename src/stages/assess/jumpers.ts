import { R_OFFSET, R_SYM, RELA_WORDS, SHT_RELA, u64 } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Side } from '../side/side';
import { addNearCallers, referencesFrom } from './references';

export interface Jumper {
  /** Canonical, 0 for code that no symbol covers. */
  symbol: number;
  /** The function that it jumps into the middle of. */
  target: number;
}

/**
 * Code that jumps into the middle of one of `targets`, themselves aside. It is asked for in every run that changes anything, and a kernel's code has
 * a million relocations: only those are looked at closely that name a section of a target, which mostly is one of its own.
 */
export function jumpersInto(side: Side, targets: ReadonlySet<number>): Jumper[] {
  const { table, object, identity } = side;
  const { section: sectionOf, symbols, sectionClass } = table;
  const home = new Uint8Array(table.sections);
  for (const symbol of targets) if (sectionOf[symbol]! < table.sections) home[sectionOf[symbol]!] = 1;
  const found: Jumper[] = [];
  for (let relaSection = 1; relaSection < table.sections; relaSection++) {
    if (object.type(relaSection) !== SHT_RELA) continue;
    const section = object.info(relaSection);
    if (
      (sectionClass[section]! & (SectionClass.EXEC | SectionClass.ALLOC)) !==
      (SectionClass.EXEC | SectionClass.ALLOC)
    )
      continue;
    const words = object.relas(relaSection);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      const named = words[at + R_SYM]!;
      if (named >= symbols || home[sectionOf[named]!] !== 1) continue;
      const field = u64(words, at + R_OFFSET);
      const symbol = identity.coverAt(section, field);
      for (const { branch, inside, symbol: target } of referencesFrom(side, section, field, field + 1))
        if (branch && inside !== 0 && target !== symbol && targets.has(target)) found.push({ symbol, target });
    }
  }
  for (const target of targets)
    addNearCallers(side, target, (into, { symbol, inside }) => {
      if (inside !== 0 && symbol !== into) found.push({ symbol, target: into });
    });
  return found;
}
