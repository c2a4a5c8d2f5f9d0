import { R_ADDEND, R_SYM, s64, type SymbolIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Side } from '../side/side';
import { Kind, Trait } from '../scan';
import { forEachEntry, specialTables } from '../scan/entries';
import { registered, type Instrumentation } from './instrumentation';
import { entryReferences, meantBy, usersOf } from './references';
import { exportedOf } from './unseen';

/** Who refers to a read-only object. */
export interface TableUsers {
  /** Code, canonical; of cold parts the part. */
  functions: Set<SymbolIndex>;
  /** Read-only data with a name, or data that each build has for itself: who reads it reads through it. */
  holders: Set<number>;
  /** What else holds its address, in words. */
  others: string[];
}

/**
 * All users of objects that differ, and of read-only data that leads to these, and so on. One pass over all relocations a step; mostly
 * there are one or two.
 * What only registers variables with KASAN is no user.
 */
export function tableUsers(
  side: Side,
  roots: Iterable<number>,
  instrumentation: Instrumentation,
): Map<number, TableUsers> {
  const found = new Map<number, TableUsers>();
  for (let open = new Set(roots); open.size > 0; ) {
    const users = usersOf(side, open);
    const exported = exportedOf(side, open);
    const special = entryUsers(side, open);
    const next = new Set<number>();
    for (const target of open) {
      const entry: TableUsers = {
        functions: new Set(special.get(target)),
        holders: new Set(),
        others: exported.has(target) ? ['modules read it by its export'] : [],
      };
      for (const { symbol, section } of users.get(target) ?? []) {
        if (symbol === target || instrumentation.constructors.has(symbol)) continue;
        if (symbol === 0) entry.others.push(`${side.object.name(section)} holds its address`);
        else if (!side.table.has(symbol, Trait.OBJECT)) entry.functions.add(side.table.canonical[symbol]!);
        else entry.holders.add(side.table.canonical[symbol]!);
      }
      for (const holder of registered(side, instrumentation, [...entry.holders])) entry.holders.delete(holder);
      found.set(target, entry);
      for (const holder of entry.holders) if (!found.has(holder) && !open.has(holder)) next.add(holder);
    }
    open = next;
  }
  return found;
}

/** Functions whose entries in special sections refer to one of `targets`. */
function entryUsers(side: Side, targets: ReadonlySet<number>): Map<number, number[]> {
  const users = new Map<number, number[]>();
  for (const special of specialTables(side.identity, side.structSizes, [])) {
    forEachEntry(side.identity, special, (entry) => {
      for (const symbol of entryReferences(side, special, entry).flatMap(meantBy))
        if (targets.has(symbol)) users.set(symbol, [...(users.get(symbol) ?? []), entry.owner]);
    });
  }
  return users;
}

/** Whether read-only data leads to code, by itself or through other read-only data: tables of operations. */
export function leadsToCode(side: Side, symbol: SymbolIndex, seen = new Set<number>()): boolean {
  const { table } = side;
  if (seen.has(symbol)) return false;
  seen.add(symbol);
  for (const { words, at } of side.relasIn(side.rangeOf(symbol))) {
    const target = words[at + R_SYM]!;
    if (table.kind[target] === Kind.UNDEFINED) return true;
    const section = table.section[target]!;
    if (section >= table.sections) continue;
    if (table.sectionClass[section]! & SectionClass.EXEC) return true;
    const inner =
      table.kind[target] === Kind.PLACE
        ? side.identity.objectAt(section, table.value[target]! + s64(words, at + R_ADDEND))
        : table.canonical[target]!;
    if (
      inner !== 0 &&
      (table.sectionClass[section]! & SectionClass.READONLY) !== 0 &&
      table.has(inner, Trait.OBJECT) &&
      leadsToCode(side, inner, seen)
    )
      return true;
  }
  return false;
}
