import { SectionClass } from '../../kernel/section-class';
import { Trait } from '../scan';
import { ENTRY_NUMBERS } from '../scan/entries';
import type { Range } from '../side/range';
import type { Side } from '../side/side';

/** Bytes of a loaded section between sized symbols, before the first or behind the last one. */
export interface Gap extends Range {
  /** The symbols before and behind it, canonical; 0 at the section's ends. */
  before: number;
  behind: number;
}

/**
 * `.export_symbol`: the linker script drops it; which functions are exported is another question. The others are tables of addresses of
 * code, which compilers write and a livepatch has its own of.
 */
const NOT_COMPARED = /^\.export_symbol$|^\.s390_(?:return|indirect)_|^__(?:lwsync|barrier_nospec)_fixup$/;

/** The gaps of a build in the order of its sections, without those that only fill up. */
export function gapsOf(side: Side): Gap[] {
  const { code, entries } = side.identity;
  const found: Gap[] = [];
  code.openGaps();
  for (let count = code.nextGaps(); count > 0; count = code.nextGaps()) {
    for (let i = 0; i < count * ENTRY_NUMBERS; i += ENTRY_NUMBERS) {
      const [section, start, end, before, behind] = entries.subarray(i, i + ENTRY_NUMBERS) as unknown as Numbers;
      found.push({ section, start, end, before, behind });
    }
  }
  const compared = new Map<number, boolean>();
  return found.filter((gap) => {
    let isCompared = compared.get(gap.section);
    if (isCompared === undefined) compared.set(gap.section, (isCompared = isComparedHere(side, gap.section)));
    return isCompared && !isPreamble(side, gap);
  });
}

type Numbers = [section: number, start: number, end: number, before: number, behind: number];

/** A compiler-made constant counts by its users, and so does the whole of its section. */
function isComparedHere({ extents, object }: Side, section: number): boolean {
  return !extents.isObject(section) && !NOT_COMPARED.test(object.name(section));
}

/** Whether a gap holds nothing but what belongs to the function behind it. */
function isPreamble({ table, arch, object }: Side, { section, start, end, behind }: Gap): boolean {
  if (behind === 0 || !table.has(behind, Trait.FUNC) || (table.sectionClass[section]! & SectionClass.EXEC) === 0)
    return false;
  if (start === 0 && arch.leadIn(object.content(section), end) === end) return true;
  const { nops } = arch.filling;
  const { bytes } = object;
  const base = object.offset(section);
  const first = nops.endFrom(bytes, base + start, base + end);
  return nops.startFrom(bytes, first, base + end) - first <= arch.namelessHash;
}
