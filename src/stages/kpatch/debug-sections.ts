import { SHF_ALLOC, SHF_COMPRESSED, SHF_MERGE, SHF_STRINGS, plainSize, type Offset } from '../../elf';
import { setU64 } from '../../elf/encode';
import type { LivepatchObject, OutputSection } from '../../livepatch/object';
import type { Side } from '../side/side';
import type { Clones } from '../extract/clones';
import { Frames } from './frames';
import { tableRelasOf } from '../assess/side-relas';

const KEPT_FLAGS = SHF_ALLOC | SHF_MERGE | SHF_STRINGS | SHF_COMPRESSED;

/** Lists of pairs of addresses (DWARF 4 and older) that a pair of zeros ends. */
const ENDED_BY_ZEROS: ReadonlySet<string> = new Set(['.debug_ranges', '.debug_loc']);

/**
 * Debug information goes along whole; of its relocations those that name something that was copied. What describes the rest of
 * the unit then stands at address 0, which debuggers pass over.
 * @throws KlpflowError `malformed-elf` for sections that no alignment fits, and places outside of them
 */
export function copyDebugSections(patched: Side, clones: Clones, output: LivepatchObject): OutputSection[] {
  const { object, table } = patched;
  const copies = new Map<number, OutputSection>();
  const sizes = new Map<number, number>();
  for (let section = 1; section < table.sections; section++) {
    const name = object.name(section);
    if (!name.startsWith('.debug_') && !name.startsWith('.eh_frame')) continue;
    // Several may have one name: GCC's -g3 makes a .debug_macro a header, -fdebug-types-section a .debug_info a type.
    const copy = output.addSection({
      name,
      type: object.type(section),
      flags: object.sectionFlags(section) & KEPT_FLAGS,
      entsize: object.entsize(section),
    });
    copy.append(object.content(section), clones.alignOf(section));
    copies.set(section, copy);
    sizes.set(section, plainSize(object, section));
  }
  for (const [section, copy] of copies) {
    const frames = copy.name === '.eh_frame' ? new Frames(copy, object.little) : undefined;
    for (const { offset, type, section: target, place } of tableRelasOf(patched, section)) {
      const debug = copies.get(target);
      if (offset >= sizes.get(section)! || (debug !== undefined && (place < 0 || place > sizes.get(target)!))) {
        object.malformed(
          object.offset(section),
          `a rela of section ${section} (${copy.name}) applies to offset ${offset} or refers to ${place}, outside of a section`,
        );
      }
      const found = debug === undefined ? clones.locate(target, place) : { section: debug, offset: place };
      if (found !== undefined)
        copy.relas.push({ offset, type, symbol: output.sectionSymbol(found.section), addend: found.offset });
      else if (type === patched.arch.address64 && ENDED_BY_ZEROS.has(copy.name)) bury(copy, offset, object.little);
      else frames?.empty(offset);
    }
  }
  return [...copies.values()];
}

/** Makes an address that is no more 1, as linkers do: as 0 it and its kin would end the list, and what stands behind it would have no address. */
function bury({ bytes, flags, size }: OutputSection, offset: Offset, little: boolean): void {
  if ((flags & SHF_COMPRESSED) === 0 && offset + 8 <= size)
    setU64(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset, 1, little);
}
