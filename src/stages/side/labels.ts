import { RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, R_TYPE, SHT_RELA, STB_LOCAL, s64, u64 } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import { Trait } from '../scan';
import type { Range } from './range';
import type { Side } from './side';

/** Tables that are read entry by entry, or that tools write about code: these name places in functions and are no part of them. */
const ABOUT_CODE =
  SectionClass.SPECIAL |
  SectionClass.DERIVED |
  SectionClass.RECORD |
  SectionClass.REPLACEMENT |
  SectionClass.TOC |
  SectionClass.EXEC;

/**
 * Data that points into a function at other than its entry belongs to that function: tables of labels (`goto *jumptable[op]` in `___bpf_prog_run`)
 * and of switches. Such data means one body only. Read by another body it leads out of that one: a new `___bpf_prog_run` that jumped through the
 * running kernel's table went on in the old one.
 *
 * @returns the functions that the data in a range points into, canonical
 */
export function functionsPointedInto(side: Side, range: Range): number[] {
  const { table } = side;
  if (range.section >= table.sections || table.relaSection[range.section] === 0 || isAboutCode(side, range.section))
    return [];
  const found = new Set<number>();
  for (const { words, at, offset } of side.relasIn(range)) {
    const symbol = words[at + R_SYM]!;
    if (symbol >= table.symbols || isEntry(side, symbol)) continue;
    const owner = functionAround(
      side,
      table.section[symbol]!,
      labelOf(
        side,
        range.section,
        offset,
        words[at + R_TYPE]!,
        table.section[symbol]!,
        table.value[symbol]! + s64(words, at + R_ADDEND),
      ),
    );
    if (owner !== 0) found.add(owner);
  }
  return [...found];
}

/**
 * Where a field of section `data` means to lead that names `place` of section `section`. The words of a relative table count from where that begins, so relocations of the later
 * ones name places further on, behind the function even. A word that names a function's start is a relative pointer, and counts from itself.
 */
export function labelOf(side: Side, data: number, field: number, type: number, section: number, place: number): number {
  if (!side.arch.isPcRelative(type) || !isCode(side, section) || isAboutCode(side, data)) return place;
  const owner = side.identity.coverAt(section, place);
  return owner !== 0 && side.table.value[owner] === place ? place : place - (field - side.extents.baseOf(data, field));
}

/** Whether a symbol without a size is a way into the code around it for others: assembler code makes such labels global. */
export function isEntry({ table }: Side, symbol: number): boolean {
  return table.size[symbol] === 0 && table.info[symbol]! >>> 4 !== STB_LOCAL;
}

/** The function that a place lies in, canonical, if it is not where others enter it; else 0. A cold part has no such place. */
export function functionAround(side: Side, section: number, place: number): number {
  const { table } = side;
  const owner = isCode(side, section) ? side.identity.coverAt(section, place) : 0;
  return owner !== 0 && (place !== table.value[owner] || table.has(owner, Trait.COLD)) ? owner : 0;
}

/** Variables that point into one of `functions`, whoever reads them. A pass over the relas of all data, some 600,000 in a kernel. */
export function tablesInto(side: Side, functions: ReadonlySet<number>): Set<number> {
  const { object, table, identity } = side;
  const home = new Uint8Array(table.sections);
  for (const symbol of functions) home[table.section[symbol]!] = 1;
  const { section: sectionOf, symbols, sections } = table;
  const met = new Set<number>();
  const found = new Set<number>();
  for (let section = 1; section < sections; section++) {
    const relaSection = table.relaSection[section]!;
    if (
      relaSection === 0 ||
      object.type(relaSection) !== SHT_RELA ||
      (table.sectionClass[section]! & SectionClass.ALLOC) === 0 ||
      isAboutCode(side, section)
    )
      continue;
    const words = object.relas(relaSection);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      const symbol = words[at + R_SYM]!;
      // Neither undefined symbols nor absolute ones are at home anywhere.
      if (symbol >= symbols || !home[sectionOf[symbol]!]) continue;
      const holder = identity.coverAt(section, u64(words, at + R_OFFSET));
      if (holder === 0 || met.has(holder)) continue;
      met.add(holder);
      if (functionsPointedInto(side, side.rangeOf(holder)).some((owner) => functions.has(owner))) found.add(holder);
    }
  }
  return found;
}

function isAboutCode({ table }: Side, section: number): boolean {
  return (table.sectionClass[section]! & ABOUT_CODE) !== 0;
}

function isCode({ table }: Side, section: number): boolean {
  return (
    section < table.sections &&
    (table.sectionClass[section]! & (SectionClass.EXEC | SectionClass.REPLACEMENT)) === SectionClass.EXEC
  );
}
