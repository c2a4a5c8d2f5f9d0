import { SectionClass } from '../../kernel/section-class';
import { Trait } from '../scan';
import type { Range } from '../side/range';
import type { Side } from '../side/side';

/** Bytes of a loaded section between sized symbols, before the first or behind the last one. */
export interface Gap extends Range {
  /** The symbols before and behind it, canonical; 0 at the section's ends. */
  before: number;
  behind: number;
}

/**
 * What is compared elsewhere: tables by their entries; records, strings, constants and Clang's unnamed data by who uses them; and what
 * is not loaded or made anew.
 */
const ELSEWHERE =
  SectionClass.STRING |
  SectionClass.CONSTANT |
  SectionClass.SPECIAL |
  SectionClass.DERIVED |
  SectionClass.REPLACEMENT |
  SectionClass.RECORD |
  SectionClass.NOBITS |
  SectionClass.TOC |
  SectionClass.ANONYMOUS;
/**
 * `.export_symbol`: the linker script drops it; which functions are exported is another question. The others are tables of addresses of
 * code, which compilers write and a livepatch has its own of.
 */
const NOT_COMPARED = /^\.export_symbol$|^\.s390_(?:return|indirect)_|^__(?:lwsync|barrier_nospec)_fixup$/;

/**
 * The gaps of a build in the order of its sections, without those that NOPs fill. Nearly all of a kernel's 200,000 sections are one
 * symbol: those are passed over by columns alone, but for the bytes before it.
 */
export function gapsOf(side: Side): Gap[] {
  const { table, arch, object } = side;
  const { coverStart, covers, value, size, sole, sectionClass, canonical, sections } = table;
  const { bytes } = object;
  const { nops } = arch.filling;
  const named = namedPadding(side);
  const found: Gap[] = [];
  for (let section = 1; section < sections; section++) {
    const bits = sectionClass[section]!;
    if ((bits & SectionClass.ALLOC) === 0 || (bits & ELSEWHERE) !== 0) continue;
    const only = sole[section]!;
    if (only !== 0 && value[only] === named[section]) continue;
    const from = object.offset(section);
    const code = (bits & SectionClass.EXEC) !== 0;
    const add = (start: number, end: number, last: number, behind: number): void => {
      if (end > start && !(code && nops.endFrom(bytes, from + start, from + end) === from + end))
        found.push({ section, start, end, before: last, behind });
    };
    if (only !== 0) {
      add(0, value[only]!, 0, only);
      continue;
    }
    // A compiler-made constant counts by its users, and so does the whole of its section.
    if (side.extents.isObject(section) || NOT_COMPARED.test(object.name(section))) continue;
    let at = 0;
    let before = 0;
    for (let i = coverStart[section]!; i < coverStart[section + 1]!; i++) {
      const symbol = covers[i]!;
      add(at, value[symbol]!, before, canonical[symbol]!);
      if (value[symbol]! + size[symbol]! < at) continue;
      at = value[symbol]! + size[symbol]!;
      before = canonical[symbol]!;
    }
    add(at, object.size(section), before, 0);
  }
  return found.filter((gap) => !isPreamble(side, gap));
}

/** How many bytes at the start of each section are padding with a name of its own (`__pfx_f`, `__cfi_f`), which is the function's behind it: 45,000 need no look. */
function namedPadding({ table: { sections, symbols, section: sectionOf, size, traits, value } }: Side): Uint32Array {
  const bytes = new Uint32Array(sections);
  for (let symbol = 1; symbol < symbols; symbol++)
    if ((traits[symbol]! & Trait.PREFIX) !== 0 && value[symbol] === 0) bytes[sectionOf[symbol]!] = size[symbol]!;
  return bytes;
}

/** Whether a gap holds nothing but what belongs to the function behind it. */
function isPreamble({ table, arch, object }: Side, { section, start, end, behind }: Gap): boolean {
  if (behind === 0 || !table.has(behind, Trait.FUNC) || (table.sectionClass[section]! & SectionClass.EXEC) === 0)
    return false;
  const content = object.content(section);
  if (start === 0 && arch.leadIn(content, end) === end) return true;
  const first = arch.filling.nops.endFrom(content, start, end);
  return arch.filling.nops.startFrom(content, first, end) - first <= arch.namelessHash;
}
