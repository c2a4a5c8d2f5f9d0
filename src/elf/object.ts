import type { SectionIndex, WordIndex } from './indices';
import { ET_DYN, ET_EXEC, ET_REL, RELA_SIZE, SHF_ALLOC, SHT_REL, SHT_SYMTAB } from './constants';
import { ElfFile } from './file';
import { unreadSection } from './section-types';
import { MappedFile } from '../files/mapped-file';
import { RELA_FIELDS, RELA_WORDS } from './words';

/**
 * A relocatable ELF64 object over a mapping.
 *
 * After `open` every rela section holds whole records, links to the symbol table and applies to a section that exists,
 * besides what holds for every file. A rela's symbol and offset are checked by whoever reads them.
 */
export class ElfObject extends ElfFile {
  /** Maps and checks `path`, which messages call `calledPath`. @throws KlpflowError for every file that is not a well-formed ELF64 relocatable object */
  static open(path: string, calledPath = path): ElfObject {
    return new ElfObject(MappedFile.open(path, calledPath));
  }

  /** A rela section's records as words (RELA_WORDS each), in file order, which need not be offset order. */
  relas(section: SectionIndex): Uint32Array {
    return this.table(this.offset(section), this.size(section), RELA_FIELDS);
  }

  /** The same where they lie: words [at, stop) of the file's, or of a copy where those cannot be read. No view is made of each of 100,000 sections. */
  relaWords(section: SectionIndex): { words: Uint32Array; at: WordIndex; stop: WordIndex } {
    const offset = this.offset(section);
    if (this.mapsWords && (offset & 3) === 0) {
      const at = offset >>> 2;
      return { words: this.words, at, stop: at + Math.floor(this.size(section) / RELA_SIZE) * RELA_WORDS };
    }
    const words = this.relas(section);
    return { words, at: 0, stop: words.length };
  }

  protected checkType(type: number): void {
    if (type === ET_REL) return;
    const kind =
      type === ET_EXEC
        ? 'an executable'
        : type === ET_DYN
          ? 'a shared object or a position-independent executable'
          : type === 4
            ? 'a core dump'
            : `of type ${type}`;
    this.fail('not-relocatable', 16, `${this.path} is ${kind}, not a relocatable object`);
  }

  protected checkSection(section: SectionIndex, where: number): void {
    const what = unreadSection(this, section);
    if (what !== undefined)
      this.fail('unsupported-section', where, `${this.path}: section ${section} (${this.name(section)}) ${what}`);
  }

  protected checkRelocations(section: SectionIndex, where: number): void {
    if (this.type(section) === SHT_REL) {
      // What is not loaded may have it: Clang 13 and newer write .rel.llvm.call-graph-profile for profiles.
      const target = this.info(section);
      const loaded = target === 0 || target >= this.sectionCount || (this.sectionFlags(target) & SHF_ALLOC) !== 0;
      if (loaded)
        this.malformed(where, `section ${section} is of type SHT_REL; these processors' objects use SHT_RELA`);
      return;
    }
    const target = this.info(section);
    if (this.entsize(section) !== RELA_SIZE || this.size(section) % RELA_SIZE !== 0)
      this.malformed(where, `rela section ${section} does not hold ${RELA_SIZE}-byte records`);
    if (target === 0 || target >= this.sectionCount)
      this.malformed(where, `rela section ${section} applies to section ${target} of ${this.sectionCount}`);
    const link = this.link(section);
    if (link === 0 || link >= this.sectionCount || this.type(link) !== SHT_SYMTAB)
      this.malformed(where, `rela section ${section} is not linked to a symbol table`);
  }
}
