import { SHF_ALLOC, type ElfObject } from '../../elf';

/** Far from 0, and all of a module with what it imports within 2 GiB: every field of a relocation can hold an address. */
const FIRST = 0x10000000;
const FIRST_IMPORT = 0x60000000;
const LAST = 0x50000000;
/** No two imports may look alike with an addend. */
const IMPORT_ROOM = 0x1000;

/** Where a module is put to compare others with it: addresses of its own that no kernel has. */
export class ModuleLayout {
  /** Address of each section, 0 of those that are not loaded. */
  readonly sections: Float64Array;
  private imported = 0;

  /** @throws KlpflowError `malformed-elf` where it has more than a module can */
  constructor(object: ElfObject) {
    this.sections = new Float64Array(object.sectionCount);
    let next = FIRST;
    for (let section = 1; section < object.sectionCount; section++) {
      if ((object.sectionFlags(section) & SHF_ALLOC) === 0) continue;
      const align = Math.max(16, object.align(section));
      next = Math.ceil(next / align) * align;
      this.sections[section] = next;
      // Empty ones, too, have an address of their own.
      next += Math.max(16, object.size(section));
      if (!(next < LAST)) object.malformed(object.headersOffset, 'loaded sections have more than 1 GiB');
    }
  }

  /** An address for the next symbol that another object defines. */
  nextImport(): number {
    return FIRST_IMPORT + this.imported++ * IMPORT_ROOM;
  }
}
