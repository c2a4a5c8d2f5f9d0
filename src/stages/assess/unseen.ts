/** Who calls a function without being among what can be taken along. */
import { SectionClass } from '../../kernel/section-class';
import type { Side } from '../side/side';
import { namesOf } from '../correlate';
import { referencesFrom, usersOf } from './references';

/** Those of `targets` that an export table names: `__ksymtab*` (a section an export until 6.4), `.export_symbol` since. */
export function exportedOf(side: Side, targets: ReadonlySet<number>): Set<number> {
  const { table, object } = side;
  const exported = new Set<number>();
  for (let section = 1; section < table.sections; section++) {
    if (table.relaSection[section] === 0 || (table.sectionClass[section]! & SectionClass.EXEC) !== 0) continue;
    if (!/^_*ksymtab|^\.export_symbol/.test(object.name(section))) continue;
    for (const { symbol } of referencesFrom(side, section, 0, object.size(section)))
      if (targets.has(symbol)) exported.add(symbol);
  }
  return exported;
}

/** Those of some functions that somebody may call who cannot be taken along: modules, other units, or whoever has its address. */
export function reachedUnseen(side: Side, targets: ReadonlySet<number>, unit: boolean): Set<number> {
  const { table } = side;
  const found = exportedOf(side, targets);
  const users = usersOf(side, targets);
  for (const target of targets) {
    const isGlobal = namesOf(table, target).some((name) => !table.isLocal(name));
    if ((unit && isGlobal) || (users.get(target) ?? []).some(({ branch, inside }) => !branch && inside === 0))
      found.add(target);
  }
  return found;
}
