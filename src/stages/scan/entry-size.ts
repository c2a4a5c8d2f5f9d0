import { RELA_WORDS, R_OFFSET, R_SYM, s64, R_ADDEND, u64, type ElfObject } from '../../elf';
import { SectionClass } from '../../livepatch/section-class';
import { Role, type SpecialSection } from '../../livepatch/special-sections';
import type { RelaReader } from './relas';
import type { ScanTable } from './table';

/** Entry sizes by kernel struct name, from BTF. */
export type StructSizes = Readonly<Record<string, number>>;

/**
 * The entry size of a special section, 0 if nothing that is known fits.
 *
 * Candidates in order of trust: the spacing of entry annotations, sh_entsize, BTF, the sizes of known releases. Each must
 * divide the section's size and leave exactly one code relocation per entry at the site field: 12-byte `__bug_table`
 * entries of 6.12 read as 16-byte ones of 7.2 would pair lines with flags.
 */
export function entrySize(object: ElfObject, table: ScanTable, relas: RelaReader, section: number, special: SpecialSection, sizes: StructSizes): number {
  const total = object.size(section);
  if (total === 0) return special.sizes[0]!;
  const candidates = [annotatedSize(object, table, section), object.entsize(section), sizes[special.struct] ?? 0, ...special.sizes];
  for (const size of candidates) {
    const rest = size >= 4 ? total % size : 0;
    if (size >= 4 && (rest === 0 || rest >= (special.shortest ?? size)) && fits(table, relas, section, total, size, special)) return size;
  }
  return 0;
}

/**
 * Whether entries of this size make sense: one reference to code at the site field of each, and none at a field that has no
 * business with code. Twice the real size has another entry's site in the middle; half of it has a key at the site.
 */
function fits(table: ScanTable, relas: RelaReader, section: number, total: number, size: number, special: SpecialSection): boolean {
  const { words, at, stop } = relas.select(section, 0, total);
  const known = [...special.references(size), special.replacement?.field ?? special.site, ...(special.code ?? [])];
  let sites = 0;
  for (let i = at; i < stop; i += RELA_WORDS) {
    const symbol = words[i + R_SYM]!;
    if (symbol >= table.symbols) return false;
    const target = table.section[symbol]!;
    const code = target < table.sections && (table.sectionClass[target]! & SectionClass.EXEC) !== 0;
    // The low word: a table of 4 GiB there is not, and a remainder of doubles costs ten times as much.
    const field = words[i + R_OFFSET]! % size;
    if (field === special.site) {
      if (!code) return false;
      sites++;
    } else if (code && !known.includes(field)) return false;
  }
  return sites === Math.ceil(total / size);
}

/** Linux 6.19 on: type-1 entries of .discard.annotate_data mark where an entry starts. Returns their even spacing, or 0. */
function annotatedSize(object: ElfObject, table: ScanTable, section: number): number {
  const starts = annotationStarts(object, table).get(section);
  if (starts === undefined || starts.length === 0) return 0;
  starts.sort((a, b) => a - b);
  const size = object.size(section) / starts.length;
  return starts.every((start, i) => start === i * size) ? size : 0;
}

const ENTRY_ANNOTATION = 1;
const cache = new WeakMap<ElfObject, Map<number, number[]>>();

function annotationStarts(object: ElfObject, table: ScanTable): Map<number, number[]> {
  let starts = cache.get(object);
  if (starts !== undefined) return starts;
  starts = new Map();
  cache.set(object, starts);
  for (let i = 0; i < table.roleCount; i++) {
    const section = table.roles[i]!;
    const relaSection = table.relaSection[section]!;
    if (relaSection === 0 || table.sectionSpecial[section] !== Role.ENTRY_ANNOTATIONS) continue;
    const content = object.content(section);
    const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
    const words = object.relas(relaSection);
    for (let i = 0; i < words.length; i += RELA_WORDS) {
      const offset = u64(words, i + R_OFFSET);
      const symbol = words[i + R_SYM]!;
      if (offset + 8 > content.length || symbol >= table.symbols) continue;
      if (view.getUint32(offset + 4, object.little) !== ENTRY_ANNOTATION) continue;
      const target = table.section[symbol]!;
      let list = starts.get(target);
      if (list === undefined) starts.set(target, (list = []));
      list.push(table.value[symbol]! + s64(words, i + R_ADDEND));
    }
  }
  return starts;
}
