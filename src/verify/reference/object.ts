import {
  ElfObject,
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHN_XINDEX,
  SHT_RELA,
  STT_FILE,
  STT_FUNC,
  STT_OBJECT,
  STT_SECTION,
  ST_INFO,
  ST_SIZE,
  ST_VALUE,
  SYM_WORDS,
  s64,
  u64,
} from '../../elf';

export interface ReferenceSymbol {
  name: string;
  type: number;
  section: number;
  value: number;
  size: number;
}

export interface ReferenceRela {
  /** Bytes from the section's start. */
  offset: number;
  type: number;
  symbol: number;
  addend: number;
}

/** PATCHED's object, as far as some functions of it matter: it may be a whole vmlinux.o, so that nothing is read twice. */
export class ReferenceObject {
  readonly elf: ElfObject;
  private readonly relaSections = new Map<number, number[]>();
  private readonly symbolsBySection = new Map<number, ReferenceSymbol[]>();
  private readonly sectionsByName = new Map<string, number[]>();

  /**
   * Finds the sections of these names, and those whose name begins with `prefix`.
   * @throws KlpflowError as `ElfObject.open`
   */
  constructor(path: string, names: ReadonlySet<string>, prefix: string) {
    const elf = (this.elf = ElfObject.open(path));
    for (let section = 1; section < elf.sectionCount; section++) {
      if (elf.type(section) === SHT_RELA) {
        const target = elf.info(section);
        const known = this.relaSections.get(target);
        if (known === undefined) this.relaSections.set(target, [section]);
        else known.push(section);
        continue;
      }
      const name = elf.name(section);
      const wanted = name.startsWith(prefix) ? prefix : name;
      if (wanted !== prefix && !names.has(name)) continue;
      const list = this.sectionsByName.get(wanted);
      if (list === undefined) this.sectionsByName.set(wanted, [section]);
      else list.push(section);
    }
  }

  /** Sections of a name, or with the prefix. */
  sections(name: string): readonly number[] {
    return this.sectionsByName.get(name) ?? [];
  }

  /** Sized functions and data that `wanted` lets through by type and name. */
  named(wanted: (type: number, name: string) => boolean): ReferenceSymbol[] {
    const found: ReferenceSymbol[] = [];
    for (let symbol = 1; symbol < this.elf.symbolCount; symbol++) {
      const type = this.elf.symbols[symbol * SYM_WORDS + ST_INFO]! & 0xf;
      if (
        (type !== STT_FUNC && type !== STT_OBJECT) ||
        this.sectionOf(symbol) === 0 ||
        !wanted(type, this.elf.symbolName(symbol))
      )
        continue;
      const described = this.symbol(symbol);
      if (described.size > 0) found.push(described);
    }
    return found;
  }

  /** `section` is 0 for symbols without one. */
  symbol(index: number): ReferenceSymbol {
    const { elf } = this;
    if (index >= elf.symbolCount) elf.malformed(elf.offset(elf.symtabSection), `there is no symbol ${index}`);
    const at = index * SYM_WORDS;
    const info = elf.symbols[at + ST_INFO]!;
    return {
      name: elf.symbolName(index),
      type: info & 0xf,
      section: this.sectionOf(index),
      value: u64(elf.symbols, at + ST_VALUE),
      size: u64(elf.symbols, at + ST_SIZE),
    };
  }

  /** A symbol's section; 0 for UNDEF, ABS and the like. */
  sectionOf(index: number): number {
    const plain = (this.elf.symbols[index * SYM_WORDS + ST_INFO] ?? 0) >>> 16;
    const section =
      plain === SHN_XINDEX ? (this.elf.extendedIndex[index] ?? 0) : plain >= SHN_LORESERVE ? SHN_UNDEF : plain;
    return section < this.elf.sectionCount ? section : 0;
  }

  /** Relocations of a section, in no order, of those that `wanted` lets through by offset and symbol. */
  relas(section: number, wanted: (offset: number, symbol: number) => boolean): ReferenceRela[] {
    const found: ReferenceRela[] = [];
    for (const from of this.relaSections.get(section) ?? []) {
      const words = this.elf.relas(from);
      for (let at = 0; at < words.length; at += RELA_WORDS) {
        const offset = u64(words, at + R_OFFSET);
        const symbol = words[at + R_SYM]!;
        if (wanted(offset, symbol))
          found.push({ offset, type: words[at + R_TYPE]!, symbol, addend: s64(words, at + R_ADDEND) });
      }
    }
    return found;
  }

  /** Named symbols of some sections, read in one pass over the table. */
  readSymbols(sections: ReadonlySet<number>): void {
    const missing = new Set([...sections].filter((section) => section > 0 && !this.symbolsBySection.has(section)));
    if (missing.size === 0) return;
    for (const section of missing) this.symbolsBySection.set(section, []);
    for (let symbol = 1; symbol < this.elf.symbolCount; symbol++) {
      const section = this.sectionOf(symbol);
      if (!missing.has(section)) continue;
      const described = this.symbol(symbol);
      if (
        described.type !== STT_SECTION &&
        described.type !== STT_FILE &&
        described.name !== '' &&
        !described.name.startsWith('.Ltmp')
      )
        this.symbolsBySection.get(section)!.push(described);
    }
  }

  /** Symbols of a section that `readSymbols` has read. */
  symbolsIn(section: number): readonly ReferenceSymbol[] {
    return this.symbolsBySection.get(section) ?? [];
  }
}
