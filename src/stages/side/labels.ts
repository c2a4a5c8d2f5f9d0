import { R_ADDEND, R_SYM, R_TYPE, s64, type SectionIndex, type SymbolIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import { Trait } from '../scan';
import { ABOUT_CODE, InwardRelas } from './inward';
import type { Range } from './range';
import type { Side } from './side';

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
export function labelOf(
  side: Side,
  data: number,
  field: number,
  type: number,
  section: SectionIndex,
  place: number,
): number {
  if (!side.arch.isPcRelative(type) || !isCode(side, section) || isAboutCode(side, data)) return place;
  const owner = side.identity.coverAt(section, place);
  return owner !== 0 && side.table.value[owner] === place ? place : place - (field - side.extents.baseOf(data, field));
}

/** Whether a symbol without a size is a way into the code around it for others: assembler code makes such labels global. */
export function isEntry({ table }: Side, symbol: SymbolIndex): boolean {
  return table.size[symbol] === 0 && !table.isLocal(symbol);
}

/** The function that a place lies in, canonical, if it is not where others enter it; else 0. A cold part has no such place. */
export function functionAround(side: Side, section: SectionIndex, place: number): number {
  const { table } = side;
  const owner = isCode(side, section) ? side.identity.coverAt(section, place) : 0;
  return owner !== 0 && (place !== table.value[owner] || table.has(owner, Trait.COLD)) ? owner : 0;
}

/** Variables that point into one of `functions`, whoever reads them. */
export function tablesInto(side: Side, functions: ReadonlySet<SymbolIndex>): Set<number> {
  const sections = new Set([...functions].map((symbol) => side.table.section[symbol]!));
  const holders = [...InwardRelas.of(side).holdersInto(sections)];
  return new Set(
    holders.filter((holder) => functionsPointedInto(side, side.rangeOf(holder)).some((owner) => functions.has(owner))),
  );
}

function isAboutCode({ table }: Side, section: SectionIndex): boolean {
  return (table.sectionClass[section]! & ABOUT_CODE) !== 0;
}

function isCode({ table }: Side, section: SectionIndex): boolean {
  return (
    section < table.sections &&
    (table.sectionClass[section]! & (SectionClass.EXEC | SectionClass.REPLACEMENT)) === SectionClass.EXEC
  );
}
