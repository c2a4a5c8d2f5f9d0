import type { Offset, SectionIndex, SymbolIndex } from './indices';
import { KlpflowError, type DiagnosticCode } from '../diagnostics';
import {
  EHDR_SIZE,
  ELFCLASS64,
  ELFDATA2LSB,
  ELFDATA2MSB,
  ELF_MAGIC,
  EV_CURRENT,
  RELA_SIZE,
  SHDR_SIZE,
  SHF_ALLOC,
  SHF_COMPRESSED,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHN_XINDEX,
  SHT_NOBITS,
  SHT_PROGBITS,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
  SYM_SIZE,
} from './constants';
import type { MappedFile } from '../files/mapped-file';
import {
  SHDR_FIELDS,
  SHDR_WORDS,
  SH_ALIGN,
  SH_ENTSIZE,
  SH_FLAGS,
  SH_INFO,
  SH_LINK,
  SH_NAME,
  SH_OFFSET,
  SH_SIZE,
  SH_TYPE,
  ST_INFO,
  ST_VALUE,
  SYM_FIELDS,
  SYM_WORDS,
  HOST_LITTLE,
  WORD_FIELDS,
  tableWords,
  u64,
} from './words';

/**
 * An ELF64 file over a mapping: what relocatable objects and linked images have in common.
 *
 * The constructor checks the whole section table once: after it every section's bytes lie within the file and every string
 * table ends in a NUL. What a *record* says (a symbol's name or section) is checked by whoever reads it.
 */
export abstract class ElfFile {
  readonly bytes: Uint8Array;
  /** The whole mapping as words, for tables that can be read in place; see `mapsWords`. */
  readonly words: Uint32Array;
  /** Whether the file's byte order is the host's, i.e. 4-aligned tables are read where they lie. */
  readonly mapsWords: boolean;
  readonly little: boolean;
  readonly machine: number;
  /** Processor flags of the file header (the ABI version on ppc64). */
  readonly flags: number;
  /** Number of section headers, from section 0 where the file has 0xff00 or more. */
  readonly sectionCount: number;
  /** Section headers as words: header i starts at word i * SHDR_WORDS. */
  readonly headers: Uint32Array;
  /** File offset of the section headers. */
  readonly headersOffset: number;
  /** Symbols as words (SYM_WORDS each); empty where the file has no symbol table. */
  readonly symbols: Uint32Array;
  readonly symbolCount: number;
  /** Section numbers of symbols whose st_shndx is SHN_XINDEX; empty where the file has none. */
  readonly extendedIndex: Uint32Array;
  /** Their file offset, 0 where the file has none. */
  readonly extendedOffset: number;
  /** File range of the symbols' string table. */
  readonly strings: { start: number; end: number };
  readonly symtabSection: number;
  /** Relocations with addends of all loaded sections. */
  readonly loadedRelas: number;
  /** File range of the sections' names. */
  readonly sectionNames: { start: number; end: number };

  constructor(readonly file: MappedFile) {
    const { bytes } = file;
    this.bytes = bytes;
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
    this.little = this.checkIdent();
    this.mapsWords = this.little === HOST_LITTLE;
    const header = new DataView(bytes.buffer, bytes.byteOffset, EHDR_SIZE);
    this.checkType(header.getUint16(16, this.little));
    if (header.getUint32(20, this.little) !== EV_CURRENT) this.malformed(20, 'e_version is not 1');
    this.machine = header.getUint16(18, this.little);
    this.flags = header.getUint32(48, this.little);
    if (header.getUint16(58, this.little) !== SHDR_SIZE) this.malformed(58, `e_shentsize is not ${SHDR_SIZE}`);

    const table = Number(header.getBigUint64(40, this.little));
    if (table === 0) this.malformed(40, 'the file has no section headers');
    if (table + SHDR_SIZE > bytes.length)
      this.malformed(
        40,
        `section headers at ${table} lie past the end of the file (${bytes.length} bytes): it is truncated`,
      );
    const first = this.table(table, SHDR_SIZE, SHDR_FIELDS);
    this.sectionCount = header.getUint16(60, this.little) || u64(first, SH_SIZE);
    if (this.sectionCount === 0 || table + this.sectionCount * SHDR_SIZE > bytes.length) {
      this.malformed(40, `${this.sectionCount} section headers at ${table} do not fit into ${bytes.length} bytes`);
    }
    this.headersOffset = table;
    this.headers = this.table(table, this.sectionCount * SHDR_SIZE, SHDR_FIELDS);
    const shstrndx = header.getUint16(62, this.little);
    const namesSection = shstrndx === SHN_XINDEX ? first[SH_LINK]! : shstrndx;

    const { symtab, extended, loadedRelas, unusual } = this.checkSections(table);
    this.loadedRelas = loadedRelas;
    this.sectionNames = this.stringTable(namesSection, 62);
    // Not before sections have names to be called by.
    for (const section of unusual) this.checkSection(section, table + section * SHDR_SIZE);
    this.symtabSection = symtab;
    if (symtab === 0) {
      this.symbols = new Uint32Array(0);
      this.extendedIndex = new Uint32Array(0);
      this.strings = { start: 0, end: 0 };
    } else {
      this.symbols = this.table(this.offset(symtab), this.size(symtab), SYM_FIELDS);
      this.strings = this.stringTable(this.link(symtab), table + symtab * SHDR_SIZE + SH_LINK * 4);
      this.extendedIndex =
        extended === 0 ? new Uint32Array(0) : this.table(this.offset(extended), this.size(extended), WORD_FIELDS);
    }
    this.extendedOffset = extended === 0 ? 0 : this.offset(extended);
    this.symbolCount = this.symbols.length / (SYM_SIZE / 4);
    if (extended !== 0 && this.extendedIndex.length < this.symbolCount) {
      this.malformed(
        this.offset(extended),
        `SHT_SYMTAB_SHNDX has ${this.extendedIndex.length} entries for ${this.symbolCount} symbols`,
      );
    }
  }

  get path(): string {
    return this.file.path;
  }

  name(section: SectionIndex): string {
    return this.text(this.nameOffset(section), this.sectionNames.end);
  }

  /** File offset of a section's name, which ends in a NUL. @throws KlpflowError `malformed-elf` */
  nameOffset(section: SectionIndex): number {
    const start = this.sectionNames.start + this.headers[section * SHDR_WORDS + SH_NAME]!;
    if (start >= this.sectionNames.end)
      this.malformed(start, `the name of section ${section} lies outside the string table`);
    return start;
  }

  /**
   * The sections of a name, in their order. The name is looked for in the string table, and the headers for where it stands there: a kernel has
   * 200,000, and no text is made of any of theirs.
   */
  sectionsNamed(name: string): number[] {
    const { start, end } = this.sectionNames;
    const table = Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, end - start);
    const places = new Set<number>();
    // More than one: a linker may keep the name as another's tail.
    for (let at = table.indexOf(`${name}\0`, 0, 'latin1'); at >= 0; at = table.indexOf(`${name}\0`, at + 1, 'latin1'))
      places.add(at);
    return places.size === 0 ? [] : [...places].flatMap((at) => this.sectionsCalled(at)).sort((a, b) => a - b);
  }

  type(section: SectionIndex): number {
    return this.headers[section * SHDR_WORDS + SH_TYPE]!;
  }

  /** Low 32 bits of sh_flags; the high half holds no flag that kernel objects use. */
  sectionFlags(section: SectionIndex): number {
    return this.headers[section * SHDR_WORDS + SH_FLAGS]!;
  }

  offset(section: SectionIndex): number {
    return u64(this.headers, section * SHDR_WORDS + SH_OFFSET);
  }

  size(section: SectionIndex): number {
    return u64(this.headers, section * SHDR_WORDS + SH_SIZE);
  }

  link(section: SectionIndex): number {
    return this.headers[section * SHDR_WORDS + SH_LINK]!;
  }

  info(section: SectionIndex): number {
    return this.headers[section * SHDR_WORDS + SH_INFO]!;
  }

  align(section: SectionIndex): number {
    return u64(this.headers, section * SHDR_WORDS + SH_ALIGN);
  }

  entsize(section: SectionIndex): number {
    return u64(this.headers, section * SHDR_WORDS + SH_ENTSIZE);
  }

  /** A section's bytes where they lie in the mapping; empty for NOBITS. */
  content(section: SectionIndex): Uint8Array {
    if (this.type(section) === SHT_NOBITS) return this.bytes.subarray(0, 0);
    const offset = this.offset(section);
    return this.bytes.subarray(offset, offset + this.size(section));
  }

  /** The symbol's full name. @throws KlpflowError `malformed-elf` when st_name points outside the string table */
  symbolName(symbol: SymbolIndex): string {
    return this.text(this.symbolNameOffset(symbol), this.strings.end);
  }

  /** File offset of a symbol's name, which ends in a NUL. @throws KlpflowError `malformed-elf` */
  symbolNameOffset(symbol: SymbolIndex): number {
    const start = this.strings.start + this.symbols[symbol * (SYM_SIZE / 4)]!;
    if (start >= this.strings.end)
      this.malformed(
        this.offset(this.symtabSection) + symbol * SYM_SIZE,
        `symbol ${symbol}: st_name lies outside the string table`,
      );
    return start;
  }

  /** The section that a symbol lies in; undefined for SHN_UNDEF, SHN_ABS and the like. @throws KlpflowError `malformed-elf` */
  sectionOf(symbol: SymbolIndex): SectionIndex | undefined {
    let section = this.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16;
    if (section === SHN_XINDEX)
      section =
        this.extendedIndex[symbol] ??
        this.malformed(0, `symbol ${symbol} needs an extended section index and the file has none`);
    else if (section === SHN_UNDEF || section >= SHN_LORESERVE) return undefined;
    if (section >= this.sectionCount)
      this.malformed(0, `symbol ${symbol} is in section ${section} of ${this.sectionCount}`);
    return section;
  }

  /** The symbol's st_value; of 53 bits and more the nearest number. */
  symbolValue(symbol: SymbolIndex): number {
    return u64(this.symbols, symbol * (SYM_SIZE / 4) + ST_VALUE);
  }

  /** The symbol's st_other. */
  symbolOther(symbol: SymbolIndex): number {
    return (this.symbols[symbol * (SYM_SIZE / 4) + ST_INFO]! >>> 8) & 0xff;
  }

  /** Bytes from `start` to the next NUL, as text. File offsets; the range ends at `end` at the latest. */
  text(start: number, end: number): string {
    let stop = start;
    while (stop < end && this.bytes[stop] !== 0) stop++;
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, stop - start).toString('utf8');
  }

  /** @throws KlpflowError always: `malformed-elf` at a file offset, saying what was expected */
  malformed(offset: Offset, expected: string): never {
    this.fail('malformed-elf', offset, `${this.path}: at offset ${offset}: ${expected}`);
  }

  protected fail(code: DiagnosticCode, offset: Offset, message: string): never {
    throw new KlpflowError(code, message, { object: this.path, offset });
  }

  protected table(offset: Offset, length: number, fields: readonly number[]): Uint32Array {
    return tableWords(this.bytes, this.little, offset, length, fields);
  }

  private checkIdent(): boolean {
    const { bytes } = this;
    const { path } = this.file;
    const magic = bytes.length < 4 ? 0 : ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0;
    // Raw LLVM bitcode is 'BC' C0 DE, its wrapper 0B17C0DE: what Clang's LTO leaves as a unit's .o.
    if (magic === 0x4243c0de || magic === 0xdec0170b)
      this.fail('bitcode', 0, `${path} is LLVM bitcode: code generation has not happened yet`);
    if (magic === 0x213c6172) this.fail('not-elf', 0, `${path} is an ar archive, not an object`);
    if (magic === 0x213c7468) this.fail('not-elf', 0, `${path} is a thin archive, a list of objects, not an object`);
    // Told where a file is changed in place: others are unpacked before they come here.
    if (magic >>> 16 === 0x1f8b || magic === 0x28b52ffd || magic === 0xfd377a58)
      this.fail('not-elf', 0, `${path} is compressed: unpack it first`);
    if (magic !== ELF_MAGIC) this.fail('not-elf', 0, `${path} is not an ELF file`);
    if (bytes.length < EHDR_SIZE)
      this.malformed(0, `the file has ${bytes.length} bytes, an ELF header has ${EHDR_SIZE}: it is truncated`);
    if (bytes[4] !== ELFCLASS64) this.fail('unsupported-object', 4, `${path} is a 32-bit object`);
    if (bytes[5] !== ELFDATA2LSB && bytes[5] !== ELFDATA2MSB)
      this.malformed(5, 'the byte order is neither little nor big');
    return bytes[5] === ELFDATA2LSB;
  }

  /** One pass over the section table; finds the symbol table and its extended index on the way, and counts relocations. */
  private checkSections(table: number): { symtab: number; extended: number; loadedRelas: number; unusual: number[] } {
    const { headers, sectionCount, bytes } = this;
    const found = { symtab: 0, extended: 0, loadedRelas: 0, unusual: [] as number[] };
    const { unusual } = found;
    // What rela sections are linked to: all to the same, so it is looked at once. None yet.
    let linked = -1;
    for (let i = 1; (i = this.nextUncommon(i, linked, found)) < sectionCount; i++) {
      const at = i * SHDR_WORDS;
      const type = headers[at + SH_TYPE]!;
      const where = table + i * SHDR_SIZE;
      const size = u64(headers, at + SH_SIZE);
      if (type === SHT_NOBITS) {
        if (size > 2 ** 47) this.malformed(where, `section ${i} has ${size} bytes`);
        continue;
      }
      const end = u64(headers, at + SH_OFFSET) + size;
      if (end > bytes.length)
        this.malformed(where, `section ${i} ends at ${end}, past the end of the file (${bytes.length} bytes)`);
      if (type === SHT_SYMTAB) {
        if (found.symtab !== 0) this.malformed(where, `sections ${found.symtab} and ${i} are both symbol tables`);
        if (u64(headers, at + SH_ENTSIZE) !== SYM_SIZE || size % SYM_SIZE !== 0)
          this.malformed(where, `symbol table ${i} does not hold ${SYM_SIZE}-byte records`);
        found.symtab = i;
      } else if (type === SHT_SYMTAB_SHNDX) found.extended = i;
      else if (type === SHT_REL) this.checkRelocations(i, where);
      else if (type !== SHT_RELA && type !== SHT_PROGBITS) unusual.push(i);
      else if (type === SHT_RELA) {
        this.checkRelocations(i, where);
        linked = headers[at + SH_LINK]!;
        const target = headers[at + SH_INFO]!;
        if (target < sectionCount && (headers[target * SHDR_WORDS + SH_FLAGS]! & SHF_ALLOC) !== 0)
          found.loadedRelas += size / RELA_SIZE;
      }
      if ((headers[at + SH_FLAGS]! & SHF_COMPRESSED) !== 0 && (headers[at + SH_FLAGS]! & SHF_ALLOC) !== 0) {
        this.fail('compressed-section', where, `${this.path}: loaded section ${i} is compressed`);
      }
    }
    return found;
  }

  /**
   * The first section from `i` on that is not in order or not of a common type; those before it are done. Every thread goes through
   * 200,000 sections, most of them before V8 has compiled this: no calls, and no branches for what is rare, or V8 compiles it anew.
   */
  private nextUncommon(i: number, linked: number, found: { loadedRelas: number }): number {
    const {
      headers,
      sectionCount,
      bytes: { length },
    } = this;
    let relaBytes = 0;
    for (let at = i * SHDR_WORDS; i < sectionCount; i++, at += SHDR_WORDS) {
      const size = headers[at + SH_SIZE]!;
      const type = headers[at + SH_TYPE]!;
      if (type !== SHT_PROGBITS && type !== SHT_RELA && type !== SHT_NOBITS) break;
      if (
        headers[at + SH_OFFSET + 1] !== 0 ||
        headers[at + SH_SIZE + 1] !== 0 ||
        (headers[at + SH_FLAGS]! & SHF_COMPRESSED) !== 0
      )
        break;
      if (type !== SHT_NOBITS && headers[at + SH_OFFSET]! + size > length) break;
      if (type === SHT_RELA) {
        const target = headers[at + SH_INFO]!;
        if (target === 0 || target >= sectionCount || headers[at + SH_LINK] !== linked) break;
        if (headers[at + SH_ENTSIZE] !== RELA_SIZE || headers[at + SH_ENTSIZE + 1] !== 0 || size % RELA_SIZE !== 0)
          break;
        if ((headers[target * SHDR_WORDS + SH_FLAGS]! & SHF_ALLOC) !== 0) relaBytes += size;
      }
    }
    found.loadedRelas += relaBytes / RELA_SIZE;
    return i;
  }

  /** Sections with that `sh_name`. No calls, as in `nextUncommon`. */
  private sectionsCalled(name: number): number[] {
    const { headers } = this;
    const found: number[] = [];
    for (let at = SHDR_WORDS; at < headers.length; at += SHDR_WORDS)
      if (headers[at + SH_NAME] === name) found.push(at / SHDR_WORDS);
    return found;
  }

  /** @throws KlpflowError for an e_type that the class does not read */
  protected abstract checkType(type: number): void;

  /** Checks a section that is neither plain content nor one of the tables that are read; `where` is its header's file offset. */
  protected abstract checkSection(section: SectionIndex, where: number): void;

  /** Checks the header of a relocation section; `where` is that header's file offset. */
  protected abstract checkRelocations(section: SectionIndex, where: number): void;

  /** A string table's file range; its last byte is NUL, so that no name can run out of it. */
  private stringTable(section: SectionIndex, where: number): { start: number; end: number } {
    if (section === 0 || section >= this.sectionCount || this.type(section) !== SHT_STRTAB)
      this.malformed(where, `section ${section} is not a string table`);
    const start = this.offset(section);
    const end = start + this.size(section);
    if (end === start || this.bytes[end - 1] !== 0)
      this.malformed(start, `string table ${section} does not end in a NUL`);
    return { start, end };
  }
}
