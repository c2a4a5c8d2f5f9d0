import type { SectionIndex } from '../../elf';
import type { SpecialSection } from '../../kernel/special-sections';
import type { Identity } from './identity';

/** No entry is longer. */
const LARGEST = 4096;

/** Entry sizes by kernel struct name, from BTF. */
export type StructSizes = Readonly<Record<string, number>>;

/**
 * The entry size of a special section, 0 if nothing that is known fits.
 *
 * Candidates in order of trust: the spacing of entry annotations, sh_entsize, BTF, the sizes of known releases. Each must
 * divide the section's size and leave exactly one code relocation per entry at the site field: 12-byte `__bug_table`
 * entries of 6.12 read as 16-byte ones of 7.2 would pair lines with flags.
 *
 * @param annotations sections of Role.ENTRY_ANNOTATIONS
 */
export function entrySize(
  identity: Identity,
  section: SectionIndex,
  special: SpecialSection,
  sizes: StructSizes,
  annotations: readonly number[],
): number {
  const { object } = identity;
  const total = object.size(section);
  if (total === 0) return special.sizes[0]!;
  const candidates = [
    annotatedSize(identity, section, annotations),
    object.entsize(section),
    sizes[special.struct] ?? 0,
    ...special.sizes,
  ];
  for (const size of candidates) {
    if (size < 4 || size > LARGEST) continue;
    const rest = total % size;
    if ((rest === 0 || rest >= (special.shortest ?? size)) && fits(identity, section, size, special)) return size;
  }
  return 0;
}

/**
 * Whether entries of this size make sense: one reference to code at the site field of each, and none at a field that has no
 * business with code. Twice the real size has another entry's site in the middle; half of it has a key at the site.
 */
function fits({ code }: Identity, section: SectionIndex, size: number, special: SpecialSection): boolean {
  const known = [...special.references(size), special.replacement?.field ?? special.site, ...(special.code ?? [])];
  return (
    code.fits(
      section,
      size,
      special.site,
      known.reduce((bits, field) => bits | (1 << (field >>> 1)), 0),
    ) !== 0
  );
}

/** Linux 6.19 on: type-1 entries of .discard.annotate_data mark where an entry starts. Returns their even spacing, or 0. */
function annotatedSize({ code }: Identity, section: SectionIndex, annotations: readonly number[]): number {
  let size = 0;
  for (const one of annotations) size ||= code.annotatedSize(section, one);
  return size;
}
