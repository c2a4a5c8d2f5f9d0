import { SectionClass } from '../../kernel/section-class';
import type { Side } from '../side/side';

/** Sections with a name of their own, by name: tables that are read entry by entry, notes for tools. */
export function oddSections({ object, table }: Side): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const section of table.roles.subarray(0, table.roleCount)) {
    if ((table.sectionClass[section]! & SectionClass.ODD) === 0) continue;
    const name = object.name(section);
    const list = found.get(name);
    if (list === undefined) found.set(name, [section]);
    else list.push(section);
  }
  return found;
}
