import { readFileSync } from 'node:fs';
import { ElfObject, RELA_SIZE, SHDR_SIZE, SHT_RELA } from '../../src/elf';
import { RELA_WORDS, R_OFFSET, u64 } from '../../src/elf/words';

const SYM_SIZE = 24;

/** A little-endian module in which a test spoils one thing. Places are offsets in the file. */
export class ModuleBytes {
  readonly bytes: Buffer;
  private readonly elf: ElfObject;

  constructor(path: string) {
    this.bytes = Buffer.from(readFileSync(path));
    this.elf = ElfObject.open(path);
  }

  get names(): string[] {
    return Array.from({ length: this.elf.symbolCount }, (_, i) => this.elf.symbolName(i));
  }

  /** The header of a section: sh_flags at 8. */
  header(name: string): number {
    return Number(this.bytes.readBigUInt64LE(40)) + this.section(name) * SHDR_SIZE;
  }

  content(name: string): number {
    return this.elf.offset(this.section(name));
  }

  /** A symbol: st_info at 4, st_shndx at 6, st_value at 8. */
  symbol(name: string): number {
    for (let i = 1; i < this.elf.symbolCount; i++)
      if (this.elf.symbolName(i) === name) return this.elf.offset(this.elf.symtabSection) + i * SYM_SIZE;
    throw new Error(`no symbol ${name}`);
  }

  /** The relocation that applies to an offset of a section: type at 8, symbol at 12, addend at 16. */
  rela(name: string, offset: number): number {
    const target = this.section(name);
    for (let section = 1; section < this.elf.sectionCount; section++) {
      if (this.elf.type(section) !== SHT_RELA || this.elf.info(section) !== target) continue;
      const words = this.elf.relas(section);
      for (let at = 0; at < words.length; at += RELA_WORDS)
        if (u64(words, at + R_OFFSET) === offset) return this.elf.offset(section) + (at / RELA_WORDS) * RELA_SIZE;
    }
    throw new Error(`no relocation at ${name}+${offset}`);
  }

  /** Where a text stands for the only time. @throws where it is missing or there again */
  text(text: string): number {
    const at = this.bytes.indexOf(text, 0, 'latin1');
    if (at < 0 || this.bytes.indexOf(text, at + 1, 'latin1') >= 0) throw new Error(`"${text}" is not there once`);
    return at;
  }

  private section(name: string): number {
    for (let section = 1; section < this.elf.sectionCount; section++)
      if (this.elf.name(section) === name) return section;
    throw new Error(`no section ${name}`);
  }
}
