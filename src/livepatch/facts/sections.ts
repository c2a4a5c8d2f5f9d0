import { SHF_ALLOC, SHF_EXECINSTR, SHT_RELA, type ElfObject, type Offset, type SectionIndex } from '../../elf';

const SECTION_SPAN = 2 ** 40;
/** Sections whose presence or content is a fact, by what they start with behind the dot. */
const WANTED =
  /^\.(?:ibt_endbr_seal$|return_sites$|retpoline_sites$|cfi_sites$|orc_unwind(?:_ip)?$|initcall|exitcall\.exit$)/;

/** A place in the object as one number: section and offset. */
export const place = (section: SectionIndex, offset: Offset): number => section * SECTION_SPAN + offset;

export class Sections {
  private readonly byName = new Map<string, number[]>();
  private readonly relaOf = new Map<number, number>();
  readonly textAligns: number[] = [];

  constructor(readonly object: ElfObject) {}

  add(name: string, section: SectionIndex): void {
    const known = this.byName.get(name);
    if (known === undefined) this.byName.set(name, [section]);
    else known.push(section);
  }

  relocates(rela: number, target: number): void {
    this.relaOf.set(target, rela);
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  named(test: (name: string) => boolean): number[] {
    return [...this.byName].filter(([name]) => test(name)).flatMap(([, sections]) => sections);
  }

  /** Relas of a section; nothing where it has none. */
  relas(section: SectionIndex): Uint32Array {
    const rela = this.relaOf.get(section);
    return rela === undefined ? new Uint32Array(0) : this.object.relas(rela);
  }
}

export function readSections(object: ElfObject): Sections {
  const found = new Sections(object);
  const wanted = new Set<number>();
  const relas: number[] = [];
  for (let section = 1; section < object.sectionCount; section++) {
    if (object.type(section) === SHT_RELA) {
      relas.push(section);
      continue;
    }
    const flags = object.sectionFlags(section);
    if ((flags & SHF_ALLOC) === 0) continue;
    if ((flags & SHF_EXECINSTR) !== 0) {
      if (object.size(section) > 0) found.textAligns.push(object.align(section));
      continue;
    }
    if (!mayBeWanted(object.bytes, object.nameOffset(section))) continue;
    const name = object.name(section);
    if (!WANTED.test(name)) continue;
    wanted.add(section);
    found.add(name, section);
  }
  for (const rela of relas) if (wanted.has(object.info(rela))) found.relocates(rela, object.info(rela));
  return found;
}

/** A kernel has 100,000 data sections (`.rodata.*`, `.data.*`, `.bss.*`): two letters spare the text of most names. */
function mayBeWanted(bytes: Uint8Array, name: number): boolean {
  const letter = bytes[name + 1];
  return (
    bytes[name] === 0x2e &&
    (letter === 0x69 ||
      letter === 0x6f ||
      letter === 0x63 ||
      letter === 0x65 ||
      (letter === 0x72 && bytes[name + 2] === 0x65))
  );
}
