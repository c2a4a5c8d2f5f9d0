import { KlpflowError } from '../diagnostics';
import {
  EHDR_SIZE, ELFCLASS64, ELFDATA2LSB, ELF_MAGIC, MappedFile, SHDR_FIELDS, SHDR_SIZE, SHDR_WORDS, SHN_XINDEX, SHT_NOBITS, SH_ENTSIZE, SH_FLAGS, SH_INFO, SH_LINK, SH_NAME, SH_OFFSET,
  SH_SIZE, SH_TYPE, SYM_FIELDS, SYM_SIZE, tableWords, u64,
} from '../elf';

export interface ImageSection {
  name: string;
  type: number;
  flags: number;
  address: number;
  size: number;
  link: number;
  info: number;
  bytes: Uint8Array;
}

/** Word number of sh_addr in a section header. */
const SH_ADDR = 4;

/** A little-endian ELF64 file of any type, linked ones too: sections and the symbol table. Addresses are signed 64-bit numbers. */
export class ElfImage {
  readonly bytes: Uint8Array;
  readonly sections: ImageSection[] = [];

  /** @throws KlpflowError `unreadable`, `not-elf`, `unsupported-object`, `malformed-elf` */
  constructor(readonly file: MappedFile) {
    const { bytes, path } = file;
    this.bytes = bytes;
    if (!isElf(bytes)) throw new KlpflowError('not-elf', `${path} is not an ELF file`, { object: path, offset: 0 });
    if (bytes.length < EHDR_SIZE || bytes[4] !== ELFCLASS64 || bytes[5] !== ELFDATA2LSB) throw new KlpflowError('unsupported-object', `${path} is not a little-endian ELF64 file`, { object: path, offset: 4 });
    const header = new DataView(bytes.buffer, bytes.byteOffset, EHDR_SIZE);
    const table = Number(header.getBigUint64(40, true));
    const room = (count: number): boolean => table > 0 && table + count * SHDR_SIZE <= bytes.length;
    if (header.getUint16(58, true) !== SHDR_SIZE || !room(1)) this.malformed(40, 'the section headers lie past the end of the file');
    const first = tableWords(bytes, true, table, SHDR_SIZE, SHDR_FIELDS);
    const count = header.getUint16(60, true) || u64(first, SH_SIZE);
    if (!room(count)) this.malformed(40, `${count} section headers do not fit into the file`);
    const words = tableWords(bytes, true, table, count * SHDR_SIZE, SHDR_FIELDS);
    const named = header.getUint16(62, true);
    const names = this.range(words, named === SHN_XINDEX ? first[SH_LINK]! : named, count);
    for (let index = 0; index < count; index++) {
      const at = index * SHDR_WORDS;
      const type = words[at + SH_TYPE]!;
      const { start, end } = type === SHT_NOBITS || index === 0 ? { start: 0, end: 0 } : this.range(words, index, count);
      this.sections.push({
        name: this.text(names.start + words[at + SH_NAME]!, names.end), type, flags: words[at + SH_FLAGS]!, address: signed64(words, at + SH_ADDR), size: u64(words, at + SH_SIZE),
        link: words[at + SH_LINK]!, info: words[at + SH_INFO]!, bytes: bytes.subarray(start, end),
      });
      if (type === 2 && u64(words, at + SH_ENTSIZE) !== SYM_SIZE) this.malformed(table + index * SHDR_SIZE, 'the symbol table does not hold 24-byte records');
    }
  }

  section(name: string): ImageSection | undefined {
    return this.sections.find((section) => section.name === name);
  }

  /** A symbol table's words (SYM_WORDS a symbol) and the names in its string table. */
  symbols(table: ImageSection): { words: Uint32Array; name: (at: number) => string } {
    const strings = this.sections[table.link];
    if (strings === undefined) this.malformed(0, 'the symbol table is not linked to a string table');
    const offset = table.bytes.byteOffset - this.bytes.byteOffset;
    const start = strings.bytes.byteOffset - this.bytes.byteOffset;
    const words = tableWords(this.bytes, true, offset, table.bytes.length - (table.bytes.length % SYM_SIZE), SYM_FIELDS);
    return { words, name: (at) => this.text(start + words[at]!, start + strings.bytes.length) };
  }

  malformed(offset: number, expected: string): never {
    throw new KlpflowError('malformed-elf', `${this.file.path}: at offset ${offset}: ${expected}`, { object: this.file.path, offset });
  }

  private range(words: Uint32Array, section: number, count: number): { start: number; end: number } {
    if (section >= count) this.malformed(62, `there is no section ${section}`);
    const start = u64(words, section * SHDR_WORDS + SH_OFFSET);
    const end = start + u64(words, section * SHDR_WORDS + SH_SIZE);
    if (end > this.bytes.length) this.malformed(start, `section ${section} ends past the end of the file`);
    return { start, end };
  }

  private text(start: number, limit: number): string {
    let end = start;
    while (end < limit && this.bytes[end] !== 0) end++;
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, Math.max(0, end - start)).toString('utf8');
  }
}

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0 === ELF_MAGIC;
}

/** Kernel addresses are small negative numbers as signed ones, which a number holds exactly. */
export function signed64(words: Uint32Array, at: number): number {
  return (words[at + 1]! | 0) * 0x100000000 + words[at]!;
}

/** Ascending order of addresses as the kernel sees them, unsigned. */
export function byAddress(a: number, b: number): number {
  return a < 0 === b < 0 ? a - b : a < 0 ? 1 : -1;
}
