import { SHF_ALLOC, SHF_MERGE, SHF_STRINGS } from '../../elf';
import type { LivepatchObject, OutputSection } from '../../livepatch/object';
import type { Side } from '../compare';
import type { Clones } from '../extract/clones';
import { relasOf } from './side-relas';

/**
 * Debug information goes along whole; of its relocations those that name something that was copied. What describes the rest of
 * the unit then stands at address 0, which debuggers pass over.
 */
export function copyDebugSections(patched: Side, clones: Clones, output: LivepatchObject): OutputSection[] {
  const { object, table } = patched;
  const copies = new Map<number, OutputSection>();
  for (let section = 1; section < table.sections; section++) {
    const name = object.name(section);
    if (!name.startsWith('.debug_') && !name.startsWith('.eh_frame')) continue;
    const copy = output.section({ name, type: object.type(section), flags: object.sectionFlags(section) & (SHF_ALLOC | SHF_MERGE | SHF_STRINGS), entsize: object.entsize(section) });
    // Offsets into it are not relocated: two of one name cannot be one.
    if (copy.size === 0) copy.append(object.content(section), object.align(section) || 1);
    copies.set(section, copy);
  }
  for (const [section, copy] of copies) {
    for (const { offset, type, section: target, place } of relasOf(patched, section)) {
      const debug = copies.get(target);
      const found = debug === undefined ? clones.locate(target, place) : { section: debug, offset: place };
      if (found !== undefined) copy.relas.push({ offset, type, symbol: output.sectionSymbol(found.section), addend: found.offset });
    }
  }
  return [...copies.values()];
}
