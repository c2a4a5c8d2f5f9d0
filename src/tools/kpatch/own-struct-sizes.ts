import { SHF_EXECINSTR, SHT_RELA, type ElfObject } from '../../elf';
import { structSizes } from '../../kernel/btf';
import { dwarfStructSizes } from '../../kernel/dwarf';
import { SPECIAL_SECTIONS } from '../../kernel/special-sections';

/** Sizes of the structs in an object's special sections by its own types (BTF, else DWARF), apart from those in `known`. */
export function ownStructSizes(object: ElfObject, known: Readonly<Record<string, number>>): Record<string, number> {
  const structs = new Map(SPECIAL_SECTIONS.map(({ name, struct }) => [name, struct]));
  const wanted = new Set<string>();
  let btf = 0;
  let dwarf = 0;
  for (let section = 1; section < object.sectionCount; section++) {
    // Of a kernel's 200,000 sections nearly all are code or relocations.
    if (object.type(section) === SHT_RELA || (object.sectionFlags(section) & SHF_EXECINSTR) !== 0) continue;
    const name = object.name(section);
    const struct = structs.get(name);
    if (struct !== undefined && known[struct] === undefined) wanted.add(struct);
    if (name === '.BTF') btf = section;
    if (name === '.debug_info') dwarf = section;
  }
  if (wanted.size === 0) return {};
  if (btf !== 0) return structSizes(object.content(btf), [...wanted], object.path);
  return dwarf === 0 ? {} : dwarfStructSizes(object, [...wanted]);
}
