import {
  SHN_ABS,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHN_XINDEX,
  SHT_NOBITS,
  STB_WEAK,
  STT_SECTION,
  ST_INFO,
  ST_SIZE,
  ST_VALUE,
  SYM_SIZE,
  SYM_WORDS,
  s64,
  u64,
  type ElfObject,
  type Offset,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import type { LivepatchObject, OutputSection, OutputSymbol } from '../object';
import { isKlpSymbol, isTombstone, sectionOf } from './layout';
import type { RelaRow } from './rows';

/** What a number of the symbol table stands for in the model. */
type Meaning = OutputSymbol | { tombstone: string } | { klpSymbol: string } | undefined;

/**
 * Cloned sections, their symbols and ordinary relocations, as they come out of a file into `object`. Relocations against
 * tombstones are handed out instead: `klp` says what they stand for.
 */
export class Content {
  private readonly sections = new Map<number, OutputSection>();
  private readonly meanings: Meaning[] = [];
  /** Relocations against tombstones that nobody has taken yet, by place. */
  private readonly tombstones = new Map<string, RelaRow & { name: string }>();

  constructor(
    private readonly elf: ElfObject,
    private readonly object: LivepatchObject,
    private readonly relas: ReadonlyMap<number, readonly RelaRow[]>,
  ) {}

  /** Takes over the sections of these numbers, then all symbols, then the sections' relocations. @throws KlpflowError `malformed-elf` */
  read(sections: readonly SectionIndex[]): void {
    for (const section of sections) this.readSection(section);
    const usedSections = new Set(
      sections.flatMap((section) => this.relas.get(section) ?? []).map(({ symbol }) => symbol),
    );
    for (let symbol = 1; symbol < this.elf.symbolCount; symbol++)
      this.meanings[symbol] = this.readSymbol(symbol, usedSections);
    for (const section of sections) for (const row of this.relas.get(section) ?? []) this.readRela(section, row);
  }

  section(index: number): OutputSection | undefined {
    return this.sections.get(index);
  }

  /** The symbol that a row names, if it is one of the model. */
  symbolOf(row: RelaRow): OutputSymbol | undefined {
    const meaning = this.meanings[row.symbol];
    return meaning !== undefined && 'name' in meaning ? meaning : undefined;
  }

  /** The full name of the klp symbol that a row names. */
  klpSymbolOf(row: RelaRow): string | undefined {
    const meaning = this.meanings[row.symbol];
    return meaning !== undefined && 'klpSymbol' in meaning ? meaning.klpSymbol : undefined;
  }

  /** Number of the section whose own symbol a row names. */
  sectionSymbolOf(row: RelaRow): number | undefined {
    const index = this.sectionIndex(row.symbol);
    return (this.infoWord(row.symbol) & 0xf) === STT_SECTION && index !== 'absolute' ? index : undefined;
  }

  /** The relocation against a tombstone at a place; each can be had once. */
  takeTombstone(section: SectionIndex, offset: Offset): (RelaRow & { name: string }) | undefined {
    const key = `${section}:${offset}`;
    const row = this.tombstones.get(key);
    this.tombstones.delete(key);
    return row;
  }

  /** @throws KlpflowError `malformed-elf` where a tombstone is left, i.e. nothing says what its place refers to */
  expectNoTombstones(): void {
    for (const { at, name } of this.tombstones.values())
      this.elf.malformed(at, `no klp relocation stands for the relocation against ${name}`);
  }

  private readSection(index: number): void {
    const { elf, object } = this;
    const before = object.sections.length;
    const section = object.section({
      ...sectionOf(elf.name(index)),
      type: elf.type(index),
      flags: elf.sectionFlags(index),
      entsize: elf.entsize(index),
    });
    if (object.sections.length === before)
      elf.malformed(elf.offset(index), `section ${index} (${elf.name(index)}) is there twice`);
    const align = Math.max(1, elf.align(index));
    if (!Number.isInteger(Math.log2(align)))
      elf.malformed(elf.offset(index), `section ${index} has the alignment ${align}`);
    section.append(elf.type(index) === SHT_NOBITS ? elf.size(index) : elf.content(index), align);
    this.sections.set(index, section);
  }

  private readSymbol(symbol: SymbolIndex, used: ReadonlySet<number>): Meaning {
    const { elf, object } = this;
    const at = elf.offset(elf.symtabSection) + symbol * SYM_SIZE;
    const info = this.infoWord(symbol) & 0xff;
    const index = this.sectionIndex(symbol);
    const value = u64(elf.symbols, symbol * SYM_WORDS + ST_VALUE);
    const size = u64(elf.symbols, symbol * SYM_WORDS + ST_SIZE);
    const name = elf.symbolName(symbol);
    const absolute = s64(elf.symbols, symbol * SYM_WORDS + ST_VALUE);
    if (!Number.isSafeInteger(size) || !Number.isSafeInteger(absolute))
      elf.malformed(at, `symbol ${symbol} (${name}) has a value or size that no kernel object has`);
    if (index === SHN_UNDEF) {
      if (isTombstone(name) && info >> 4 === STB_WEAK) return { tombstone: name };
      if (isKlpSymbol(name) && info >> 4 === STB_WEAK) return { klpSymbol: name };
      return Object.assign(object.reference(name, info), { size });
    }
    if (index === 'absolute') return object.define({ name, info, section: 'absolute', value: absolute, size });
    const section = this.sections.get(index);
    if ((info & 0xf) === STT_SECTION && (section === undefined || !used.has(symbol))) return undefined;
    if (section === undefined)
      return elf.malformed(
        at,
        `symbol ${symbol} (${name}) is defined in section ${index}, which holds no code or data of the livepatch`,
      );
    if (value + size > section.size)
      elf.malformed(at, `symbol ${symbol} (${name}) ends at ${value + size} in a section of ${section.size} bytes`);
    return object.define({ name, info, section, value, size });
  }

  private readRela(index: number, row: RelaRow): void {
    const meaning = this.meanings[row.symbol];
    const { offset, type, addend } = row;
    if (meaning === undefined)
      this.elf.malformed(
        row.at,
        `a relocation of section ${index} names symbol ${row.symbol}, which is no symbol of the livepatch`,
      );
    if ('klpSymbol' in meaning)
      this.elf.malformed(row.at, `an ordinary relocation names ${meaning.klpSymbol}, which no linker can resolve`);
    if ('tombstone' in meaning) {
      const key = `${index}:${offset}`;
      if (this.tombstones.has(key)) this.elf.malformed(row.at, `two relocations against tombstones stand at ${offset}`);
      this.tombstones.set(key, { ...row, name: meaning.tombstone });
      return;
    }
    this.sections.get(index)!.relas.push({ offset, type, symbol: meaning, addend });
  }

  private infoWord(symbol: SymbolIndex): number {
    return this.elf.symbols[symbol * SYM_WORDS + ST_INFO]!;
  }

  /** @throws KlpflowError `malformed-elf` for an index that is no section of this file */
  private sectionIndex(symbol: SymbolIndex): number | 'absolute' {
    const { elf } = this;
    const short = this.infoWord(symbol) >>> 16;
    if (short === SHN_ABS) return 'absolute';
    const index = short === SHN_XINDEX ? (elf.extendedIndex[symbol] ?? elf.sectionCount) : short;
    if (index >= elf.sectionCount || (short >= SHN_LORESERVE && short !== SHN_XINDEX)) {
      elf.malformed(
        elf.offset(elf.symtabSection) + symbol * SYM_SIZE,
        `symbol ${symbol} is defined in section ${index} of ${elf.sectionCount}`,
      );
    }
    return index;
  }
}
