import {
  SHDR_WORDS, SHF_ALLOC, SHF_EXECINSTR, SHF_MERGE, SHF_STRINGS, SHF_WRITE, SHT_NOBITS, SHT_RELA, SH_FLAGS, SH_INFO, SH_TYPE, type ElfObject,
} from '../../elf';
import { SectionClass, classByName } from '../../livepatch/section-class';
import { FIRST_ROLE, specialNumber } from '../../livepatch/special-sections';
import { bytesOf, startsWith } from './names';
import type { ScanTable } from './table';

const TEXT = bytesOf('.text.');
const BSS = bytesOf('.bss.');
const DATA = bytesOf('.data.');
const DATA_REL_RO = bytesOf('.data.rel.ro');
const RODATA = bytesOf('.rodata.');
const RODATA_CST = bytesOf('.rodata.cst');
const PATCHABLE = bytesOf('__patchable_function_entries');
const DOT = 0x2e;
/** No name that is looked at is longer; compares end at a NUL anyway. */
const ANY = 64;

/**
 * Fills the section columns: class bits, special-section number, the rela section of each section.
 *
 * With one section a function 100,000 names are `.text.X`, `.data.X` and the like, which need no look at X, and 44,243 are
 * `__patchable_function_entries`; only the rest is decoded.
 */
export function classifySections(object: ElfObject, table: ScanTable): void {
  const { headers, bytes } = object;
  const { relaSection, sectionClass, sectionSpecial } = table;
  for (let section = 1, at = SHDR_WORDS; section < table.sections; section++, at += SHDR_WORDS) {
    const type = headers[at + SH_TYPE]!;
    if (type === SHT_RELA) {
      // A second rela section for one target would be read as the only one: refuse instead.
      const target = headers[at + SH_INFO]!;
      if (relaSection[target] !== 0) object.malformed(object.offset(section), `sections ${relaSection[target]} and ${section} both hold relas of section ${target}`);
      relaSection[target] = section;
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
    if (startsWith(bytes, name, name + ANY, PATCHABLE)) bits |= SectionClass.DERIVED;
    else if (!isPlain(bytes, name) && ((flags & SHF_ALLOC) !== 0 || bytes[name] === DOT)) {
      const text = object.name(section);
      const special = flags & SHF_ALLOC || text.startsWith('.discard.') ? specialNumber(text) : 0;
      bits |= classByName(text, special !== 0 && special < FIRST_ROLE);
      // A merged constant without flags is plain read-only data.
      if ((flags & SHF_MERGE) === 0) bits &= ~SectionClass.CONSTANT;
      sectionSpecial[section] = special;
    }
    sectionClass[section] = bits;
  }
}

/** Whether the name is of a kind whose flags say it all: `.text.X`, `.bss.X`, `.data.X`, `.rodata.X`. */
function isPlain(bytes: Uint8Array, name: number): boolean {
  if (bytes[name] !== DOT) return false;
  switch (bytes[name + 1]) {
    case 0x74: return startsWith(bytes, name, name + ANY, TEXT);
    case 0x62: return startsWith(bytes, name, name + ANY, BSS);
    case 0x64: return startsWith(bytes, name, name + ANY, DATA) && bytes[name + 6] !== DOT && !startsWith(bytes, name, name + ANY, DATA_REL_RO);
    case 0x72: return startsWith(bytes, name, name + ANY, RODATA) && !startsWith(bytes, name, name + ANY, RODATA_CST);
    default: return false;
  }
}
