import { KlpflowError } from '../../diagnostics';
import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHN_LORESERVE,
  SHN_XINDEX,
  SHT_RELA,
  ST_INFO,
  ST_VALUE,
  SYM_WORDS,
  plainSize,
  s64,
  u64,
  type ElfObject,
  type Offset,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import { ARCH, RELOCATIONS, STRINGS, SYMBOLS } from '../../livepatch/kpatch/layout';

/** A klp relocation as the linked tables tell it. */
export interface LinkedRelocation {
  /** Section that it applies to, and the offset in it. */
  section: SectionIndex;
  offset: Offset;
  type: number;
  addend: bigint;
  /** The patched object. */
  object: string;
  symbol: { name: string; owner: string; sympos: bigint; bind: number; type: number };
}

/** Where a field of a table points. */
interface Pointer {
  section: SectionIndex;
  offset: Offset;
}

/** The tables of create-diff-object in a module that was linked of several of its objects. */
export class LinkedModule {
  private readonly byName = new Map<string, number>();
  /** Rela section of each section. */
  readonly relaSections = new Map<number, number>();

  constructor(readonly elf: ElfObject) {
    for (let section = 1; section < elf.sectionCount; section++) {
      if (elf.type(section) === SHT_RELA) this.relaSections.set(elf.info(section), section);
      else if (!this.byName.has(elf.name(section))) this.byName.set(elf.name(section), section);
    }
  }

  /** Every record of RELOCATIONS with its symbol. @throws KlpflowError `malformed-kpatch-object` */
  relocations(): LinkedRelocation[] {
    const [records, symbols, strings] = [
      this.mustHave(RELOCATIONS.name),
      this.mustHave(SYMBOLS.name),
      this.mustHave(STRINGS),
    ];
    const count = this.count(records, RELOCATIONS.entsize);
    if (this.count(symbols, SYMBOLS.entsize) !== count)
      this.malformed(`${RELOCATIONS.name} has ${count} records and ${SYMBOLS.name} another number`);
    const pointers = this.pointers(records);
    const names = this.pointers(symbols);
    const [view, symbolView] = [this.view(records), this.view(symbols)];
    const { little } = this.elf;
    return Array.from({ length: count }, (_, i) => {
      const at = i * RELOCATIONS.entsize;
      const dest = this.pointer(pointers, at + RELOCATIONS.dest, RELOCATIONS.name);
      const named = this.pointer(pointers, at + RELOCATIONS.symbol, RELOCATIONS.name);
      if (dest.section === 0 || dest.offset < 0 || dest.offset >= this.elf.size(dest.section))
        this.malformed(`record ${i} of ${RELOCATIONS.name} applies to no place of this module`);
      const to = named.offset;
      if (named.section !== symbols || to % SYMBOLS.entsize !== 0 || to < 0 || to >= this.elf.size(symbols))
        this.malformed(`record ${i} of ${RELOCATIONS.name} names no record of ${SYMBOLS.name}`);
      return {
        section: dest.section,
        offset: dest.offset,
        type: view.getUint32(at + RELOCATIONS.type, little),
        addend: view.getBigInt64(at + RELOCATIONS.addend, little),
        object: this.string(strings, this.pointer(pointers, at + RELOCATIONS.object, RELOCATIONS.name)),
        symbol: {
          name: this.string(strings, this.pointer(names, to + SYMBOLS.symbolName, SYMBOLS.name)),
          owner: this.string(strings, this.pointer(names, to + SYMBOLS.object, SYMBOLS.name)),
          sympos: symbolView.getBigUint64(to + SYMBOLS.sympos, little),
          bind: symbolView.getUint8(to + SYMBOLS.bind),
          type: symbolView.getUint8(to + SYMBOLS.type),
        },
      };
    });
  }

  /** Sections that the kernel applies once the patched object is loaded. @throws KlpflowError `malformed-kpatch-object` */
  lateSections(): Array<{ section: SectionIndex; object: string }> {
    const records = this.byName.get(ARCH.name);
    if (records === undefined) return [];
    const pointers = this.pointers(records);
    const strings = this.mustHave(STRINGS);
    return Array.from({ length: this.count(records, ARCH.entsize) }, (_, i) => {
      const { section } = this.pointer(pointers, i * ARCH.entsize + ARCH.section, ARCH.name);
      if (section === 0) this.malformed(`record ${i} of ${ARCH.name} names no section`);
      return {
        section,
        object: this.string(strings, this.pointer(pointers, i * ARCH.entsize + ARCH.object, ARCH.name)),
      };
    });
  }

  /** The real section of a symbol; 0 for undefined, absolute and common ones. */
  sectionOf(symbol: SymbolIndex): SectionIndex {
    const index = this.elf.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16;
    const section = index === SHN_XINDEX ? (this.elf.extendedIndex[symbol] ?? 0) : index >= SHN_LORESERVE ? 0 : index;
    if (section >= this.elf.sectionCount)
      this.malformed(`symbol ${symbol} is in section ${section} of ${this.elf.sectionCount}`);
    return section;
  }

  malformed(message: string): never {
    throw new KlpflowError('malformed-kpatch-object', `${this.elf.path}: ${message}`, { object: this.elf.path });
  }

  private mustHave(name: string): number {
    return this.byName.get(name) ?? this.malformed(`it has no section ${name}`);
  }

  private count(section: SectionIndex, entsize: number): number {
    const size = this.elf.size(section);
    if (size % entsize !== 0 || this.elf.content(section).length !== size)
      this.malformed(`${this.elf.name(section)} has ${size} bytes, not records of ${entsize}`);
    return size / entsize;
  }

  /** What the fields of a section point at, by offset. */
  private pointers(section: SectionIndex): Map<number, Pointer> {
    const pointers = new Map<number, Pointer>();
    const relas = this.relaSections.get(section);
    const words = relas === undefined ? new Uint32Array(0) : this.elf.relas(relas);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      const symbol = words[at + R_SYM]!;
      if (symbol >= this.elf.symbolCount)
        this.malformed(`a relocation of ${this.elf.name(section)} names symbol ${symbol} of ${this.elf.symbolCount}`);
      pointers.set(u64(words, at + R_OFFSET), {
        section: this.sectionOf(symbol),
        offset: u64(this.elf.symbols, symbol * SYM_WORDS + ST_VALUE) + s64(words, at + R_ADDEND),
      });
    }
    return pointers;
  }

  private pointer(pointers: ReadonlyMap<number, Pointer>, offset: Offset, table: string): Pointer {
    return pointers.get(offset) ?? this.malformed(`${table} lacks a relocation at offset 0x${offset.toString(16)}`);
  }

  private string(strings: number, { section, offset }: Pointer): string {
    const size = this.elf.size(strings);
    if (section !== strings || offset < 0 || offset >= size) this.malformed(`a name lies outside ${STRINGS}`);
    const start = this.elf.offset(strings);
    return this.elf.text(start + offset, start + size);
  }

  private view(section: SectionIndex): DataView {
    const content = this.elf.content(section);
    return new DataView(content.buffer, content.byteOffset, content.length);
  }
}

/** The relas of a section as the writer takes them, with symbols by `handleOf` and offsets moved by `distance`. */
export function relasOf(
  elf: ElfObject,
  section: SectionIndex,
  handleOf: (symbol: SymbolIndex) => number,
  distance = 0,
): Array<{ offset: Offset; type: number; symbol: SymbolIndex; addend: bigint }> {
  const words = elf.relas(section);
  const base = elf.info(section);
  const size = plainSize(elf, base);
  const relas: ReturnType<typeof relasOf> = [];
  for (let at = 0; at < words.length; at += RELA_WORDS) {
    const offset = u64(words, at + R_OFFSET);
    if (offset > size)
      elf.malformed(
        elf.offset(section),
        `a rela applies to offset ${offset} of section ${base}, which has ${size} bytes`,
      );
    const addend = BigInt.asIntN(64, (BigInt(words[at + R_ADDEND + 1]!) << 32n) | BigInt(words[at + R_ADDEND]!));
    relas.push({ offset: offset + distance, type: words[at + R_TYPE]!, symbol: handleOf(words[at + R_SYM]!), addend });
  }
  return relas;
}
