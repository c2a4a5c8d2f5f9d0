import type { ElfObject } from '../../elf';
import type { ScanTable } from './table';

interface Scanned {
  readonly object: ElfObject;
  readonly table: ScanTable;
}

/** Sections of one name, in file order. */
export function sectionsNamed(scanned: Scanned, name: string): number[] {
  return sectionsStarting(scanned, `${name}\0`);
}

/** Sections whose name and the NUL behind it start with a text. Compared as bytes: a kernel has 200,000 names, and few are asked for. */
export function sectionsStarting({ object, table }: Scanned, text: string): number[] {
  const { bytes } = object;
  const wanted = Buffer.from(text, 'utf8');
  const found: number[] = [];
  for (let section = 1; section < table.sections; section++) {
    const start = object.nameOffset(section);
    let at = 0;
    while (at < wanted.length && bytes[start + at] === wanted[at]) at++;
    if (at === wanted.length) found.push(section);
  }
  return found;
}
