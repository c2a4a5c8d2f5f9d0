import type { SymbolIndex } from '../../elf';
import type { Side } from '../side/side';
import { InwardRelas } from '../side/inward';
import { addNearCallers, referencesFrom } from './references';

export interface Jumper {
  /** Canonical, 0 for code that no symbol covers. */
  symbol: SymbolIndex;
  /** The function that it jumps into the middle of. */
  target: number;
}

/** Code that jumps into the middle of one of `targets`, themselves aside. */
export function jumpersInto(side: Side, targets: ReadonlySet<number>): Jumper[] {
  const { table, identity } = side;
  const sections = new Set([...targets].map((symbol) => table.section[symbol]!));
  const found: Jumper[] = [];
  for (const { section, field } of InwardRelas.of(side).fieldsInto(sections)) {
    const symbol = identity.coverAt(section, field);
    for (const { branch, inside, symbol: target } of referencesFrom(side, section, field, field + 1))
      if (branch && inside !== 0 && target !== symbol && targets.has(target)) found.push({ symbol, target });
  }
  for (const target of targets)
    addNearCallers(side, target, (into, { symbol, inside }) => {
      if (inside !== 0 && symbol !== into) found.push({ symbol, target: into });
    });
  return found;
}
