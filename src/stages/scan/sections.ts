import {
  SHDR_WORDS, SHF_ALLOC, SHF_EXECINSTR, SHF_MERGE, SHF_STRINGS, SHF_WRITE, SHT_NOBITS, SHT_RELA, SH_FLAGS, SH_INFO, SH_TYPE, type ElfObject,
} from '../../elf';
import { SectionClass, classByName } from '../../livepatch/section-class';
import { specialNumber } from '../../livepatch/special-sections';
import { bytesOf, startsWith } from './names';
import type { ScanTable } from './table';

const TEXT = bytesOf('.text.');
const BSS = bytesOf('.bss.');

/**
 * Fills the section columns: class bits, special-section number, the rela section of each section.
 *
 * With one section a function 100,000 names are `.text.X` or `.bss.X`, which need no look at X; only the rest is decoded.
 */
export function classifySections(object: ElfObject, table: ScanTable): void {
  const { headers, bytes } = object;
  for (let section = 1, at = SHDR_WORDS; section < table.sections; section++, at += SHDR_WORDS) {
    const type = headers[at + SH_TYPE]!;
    if (type === SHT_RELA) {
      // A second rela section for one target would be read as the only one: refuse instead.
      const target = headers[at + SH_INFO]!;
      if (table.relaSection[target] !== 0) object.malformed(object.offset(section), `sections ${table.relaSection[target]} and ${section} both hold relas of section ${target}`);
      table.relaSection[target] = section;
      continue;
    }
    const flags = headers[at + SH_FLAGS]!;
    let bits = 0;
    if (flags & SHF_ALLOC) bits |= SectionClass.ALLOC;
    if (flags & SHF_EXECINSTR) bits |= SectionClass.EXEC;
    if (flags & SHF_WRITE) bits |= SectionClass.WRITE;
    if (type === SHT_NOBITS) bits |= SectionClass.NOBITS;
    if ((flags & SHF_MERGE) !== 0 && (flags & SHF_STRINGS) !== 0) bits |= SectionClass.STRING;
    if ((flags & (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR)) === SHF_ALLOC) bits |= SectionClass.READONLY;

    const name = object.nameOffset(section);
    const plain = startsWith(bytes, name, name + 6, TEXT) || startsWith(bytes, name, name + 5, BSS);
    if (!plain && (flags & SHF_ALLOC || bytes[name] === 0x2e)) {
      const text = object.name(section);
      const special = flags & SHF_ALLOC ? specialNumber(text) : 0;
      bits |= classByName(text, special !== 0);
      // A merged constant without flags is plain read-only data.
      if ((flags & SHF_MERGE) === 0) bits &= ~SectionClass.CONSTANT;
      table.sectionSpecial[section] = special;
    }
    table.sectionClass[section] = bits;
  }
}
