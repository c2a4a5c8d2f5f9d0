import { readFileSync } from 'node:fs';

export const PLAIN_FUNC = 2;
export const PLAIN_OBJECT = 1;
export const PLAIN_LOCAL = 0;

export interface PlainSymbol {
  name: string;
  type: number;
  binding: number;
  section: number;
  value: number;
  size: number;
}

/** A place that a relocation refers to. */
export interface PlainTarget {
  section: number;
  value: number;
}

export interface PlainRela {
  offset: number;
  type: number;
  symbol: PlainSymbol;
  addend: number;
}

interface PlainSection {
  name: string;
  type: number;
  offset: number;
  size: number;
  link: number;
  info: number;
}

const SHT_SYMTAB = 2;
const SHT_RELA = 4;
const SHT_NOBITS = 8;
const SHT_SYMTAB_SHNDX = 18;
const SHN_XINDEX = 0xffff;

/**
 * Sections, symbols and what relocations refer to, of one ELF64 object. Written plainly and apart from `src/elf`: what a
 * test takes for granted must not come from the code under test. Reads a real kernel in half a second, where binutils
 * take minutes.
 */
export class PlainElf {
  readonly bytes: Buffer;
  private readonly view: DataView;
  private readonly little: boolean;
  private readonly sections: PlainSection[];
  private all: PlainSymbol[] | undefined;

  constructor(path: string) {
    this.bytes = readFileSync(path);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    if (this.bytes.toString('latin1', 0, 5) !== '\x7fELF\x02') throw new Error(`${path}: not an ELF64 file`);
    this.little = this.bytes[5] === 1;
    const table = this.u64(0x28);
    const header = (index: number): number => table + index * 64;
    // More sections than 16 bits count: the first header holds their number and the name table's index.
    const count = this.u16(0x3c) || this.u64(header(0) + 32);
    const names = this.u16(0x3e) === SHN_XINDEX ? this.u32(header(0) + 40) : this.u16(0x3e);
    const strings = this.u64(header(names) + 24);
    this.sections = Array.from({ length: count }, (_, index) => {
      const at = header(index);
      return {
        name: this.string(strings + this.u32(at)),
        type: this.u32(at + 4),
        offset: this.u64(at + 24),
        size: this.u64(at + 32),
        link: this.u32(at + 40),
        info: this.u32(at + 44),
      };
    });
  }

  get symbols(): readonly PlainSymbol[] {
    return (this.all ??= this.readSymbols());
  }

  /** Symbols of this name that are defined here. */
  named(name: string): PlainSymbol[] {
    return this.symbols.filter((symbol) => symbol.name === name && symbol.section !== 0);
  }

  sectionName(section: number): string {
    return this.sections[section]?.name ?? '';
  }

  /** What the relocations of all sections that `wanted` picks refer to. Exact in tables; in code an addend counts from the instruction's end. */
  targets(wanted: (name: string, section: number) => boolean): PlainTarget[] {
    const found: PlainTarget[] = [];
    for (const { type, info, offset, size } of this.sections) {
      if (type !== SHT_RELA || !wanted(this.sectionName(info), info)) continue;
      for (let at = offset; at < offset + size; at += 24) {
        const symbol = this.symbols[Number(this.view.getBigUint64(at + 8, this.little) >> 32n)];
        if (symbol === undefined) continue;
        found.push({
          section: symbol.section,
          value: symbol.value + Number(this.view.getBigInt64(at + 16, this.little)),
        });
      }
    }
    return found;
  }

  /** Numbers of the sections of this name. */
  sectionsNamed(name: string): number[] {
    return this.sections.flatMap((section, index) => (section.name === name ? [index] : []));
  }

  get sectionCount(): number {
    return this.sections.length;
  }

  /** The bytes of a section; none for NOBITS. */
  content(section: number): Buffer {
    const { type, offset, size } = this.sections[section]!;
    return type === SHT_NOBITS ? Buffer.alloc(0) : this.bytes.subarray(offset, offset + size);
  }

  /** What a section holds: SHT_*, and its size in bytes. */
  shape(section: number): { type: number; size: number } {
    const { type, size } = this.sections[section]!;
    return { type, size };
  }

  /** Relocations of a section, by offset. */
  relas(section: number): PlainRela[] {
    return this.sections
      .filter(({ type, info }) => type === SHT_RELA && info === section)
      .flatMap(({ offset, size }) =>
        Array.from({ length: size / 24 }, (_, i) => {
          const at = offset + i * 24;
          const info = this.view.getBigUint64(at + 8, this.little);
          return {
            offset: this.u64(at),
            type: Number(info & 0xffffffffn),
            symbol: this.symbols[Number(info >> 32n)]!,
            addend: Number(this.view.getBigInt64(at + 16, this.little)),
          };
        }),
      )
      .sort((a, b) => a.offset - b.offset);
  }

  private readSymbols(): PlainSymbol[] {
    const index = this.sections.findIndex(({ type }) => type === SHT_SYMTAB);
    const table = this.sections[index];
    if (table === undefined) return [];
    const strings = this.sections[table.link]!.offset;
    const extended = this.sections.find(({ type, link }) => type === SHT_SYMTAB_SHNDX && link === index);
    return Array.from({ length: table.size / 24 }, (_, symbol) => {
      const at = table.offset + symbol * 24;
      const short = this.u16(at + 6);
      return {
        name: this.string(strings + this.u32(at)),
        type: this.bytes[at + 4]! & 0xf,
        binding: this.bytes[at + 4]! >> 4,
        section: short === SHN_XINDEX && extended !== undefined ? this.u32(extended.offset + symbol * 4) : short,
        value: this.u64(at + 8),
        size: this.u64(at + 16),
      };
    });
  }

  private string(at: number): string {
    return this.bytes.toString('latin1', at, this.bytes.indexOf(0, at));
  }

  private u16(at: number): number {
    return this.view.getUint16(at, this.little);
  }

  private u32(at: number): number {
    return this.view.getUint32(at, this.little);
  }

  private u64(at: number): number {
    return Number(this.view.getBigUint64(at, this.little));
  }
}
