import { writeFileSync } from 'node:fs';
import {
  SHF_ALLOC,
  SHF_RELA_LIVEPATCH,
  SHN_ABS,
  SHN_LIVEPATCH,
  SHT_NOBITS,
  SHT_PROGBITS,
  STB_GLOBAL,
} from '../../src/elf/constants';
import { ElfWriter } from '../../src/elf/writer';
import { encode, type Body } from './fields';

export interface DraftRela {
  /** Bytes from the section's start. */
  off: number;
  type: number;
  /** A symbol's name, or a section's. */
  sym: string;
  addend: number;
  /** For those that the livepatch core applies: the object of their section. */
  klp?: string;
}

export interface DraftSection {
  name: string;
  type: number;
  flags: number;
  align: number;
  entsize: number;
  bytes: Buffer;
  relas: DraftRela[];
}

export interface DraftSymbol {
  name: string;
  section: string | 'undefined' | 'absolute' | 'livepatch';
  type: number;
  binding: number;
  value: number;
  size: number;
}

/** A kernel module that a test can spoil before it is a file: sections with their relocations, and symbols, by name. */
export class ModuleDraft {
  readonly sections: DraftSection[] = [];
  readonly symbols: DraftSymbol[] = [];

  /** @throws where there is none: a mutation that does nothing would prove nothing */
  section(name: string): DraftSection {
    return this.sections.find((section) => section.name === name) ?? raise(`no section ${name}`);
  }

  symbol(name: string): DraftSymbol {
    return this.symbols.find((symbol) => symbol.name === name) ?? raise(`no symbol ${name}`);
  }

  /** The relocation of a section at an offset. */
  rela(section: string, off: number): DraftRela {
    return this.section(section).relas.find((rela) => rela.off === off) ?? raise(`no relocation at ${section}+${off}`);
  }

  /** The first relocation of a section against a symbol. */
  relaTo(section: string, sym: string): DraftRela {
    return (
      this.section(section).relas.find((rela) => rela.sym === sym) ??
      raise(`no relocation of ${section} against ${sym}`)
    );
  }

  /**
   * Appends content to a section, made at the first call, and returns where it starts. Fields that refer to a klp symbol
   * become relocations of the livepatch core.
   */
  append(
    name: string,
    body: Body,
    options: Partial<Pick<DraftSection, 'type' | 'flags' | 'align' | 'entsize'>> & { pad?: number } = {},
  ): number {
    const { pad = 0, type = SHT_PROGBITS, flags = SHF_ALLOC, align = 1, entsize = 0 } = options;
    let section = this.sections.find((known) => known.name === name);
    if (section === undefined)
      this.sections.push((section = { name, type, flags, align, entsize, bytes: Buffer.alloc(0), relas: [] }));
    section.align = Math.max(section.align, align);
    const start = Math.ceil(section.bytes.length / align) * align;
    const { bytes, relas } = encode(body, true);
    section.bytes = Buffer.concat([section.bytes, Buffer.alloc(start - section.bytes.length, pad), bytes]);
    for (const { off, type: kind, sym, addend = 0 } of relas) {
      if (typeof sym !== 'string') throw new Error('a draft names its targets');
      const [, klp] = /^\.klp\.sym\.([^.]+)\./.exec(sym) ?? [];
      section.relas.push({
        off: start + off,
        type: kind,
        sym,
        addend: Number(addend),
        ...(klp === undefined ? {} : { klp }),
      });
    }
    return start;
  }

  /** Defines a symbol; global unless stated. */
  define(symbol: Pick<DraftSymbol, 'name' | 'section'> & Partial<DraftSymbol>): void {
    this.symbols.push({ type: 0, binding: STB_GLOBAL, value: 0, size: 0, ...symbol });
  }

  /** Takes bytes out of a section; what lies behind moves up, and relocations and symbols with it. */
  cut(name: string, start: number, length: number): void {
    const section = this.section(name);
    if (start + length > section.bytes.length) throw new Error(`${name} has no ${length} bytes at ${start}`);
    section.bytes = Buffer.concat([section.bytes.subarray(0, start), section.bytes.subarray(start + length)]);
    section.relas = section.relas
      .filter(({ off }) => off < start || off >= start + length)
      .map((rela) => (rela.off < start ? rela : { ...rela, off: rela.off - length }));
  }

  copy(): ModuleDraft {
    const copy = new ModuleDraft();
    for (const section of this.sections)
      copy.sections.push({
        ...section,
        bytes: Buffer.from(section.bytes),
        relas: section.relas.map((rela) => ({ ...rela })),
      });
    for (const symbol of this.symbols) copy.symbols.push({ ...symbol });
    return copy;
  }

  /** The file's bytes: a `.rela` section and a `.klp.rela.OBJECT` section behind each section that needs one. */
  bytes(machine = 62): Buffer {
    const writer = new ElfWriter({ machine });
    const numbers = new Map<string, number>();
    const handles = new Map<string, number>();
    const handle = (sym: string): number =>
      handles.get(sym) ?? (numbers.has(sym) ? writer.sectionSymbol(numbers.get(sym)!) : raise(`no symbol ${sym}`));
    for (const { name, type, flags, align, entsize, bytes, relas } of this.sections) {
      const number = writer.section({
        name,
        type,
        flags,
        align,
        entsize,
        ...(type === SHT_NOBITS ? { size: bytes.length } : { content: bytes }),
      });
      if (!numbers.has(name)) numbers.set(name, number);
      const rows = (
        list: DraftRela[],
      ): { count: number; rows: () => Array<{ offset: number; type: number; symbol: number; addend: number }> } => ({
        count: list.length,
        rows: () =>
          list.map((rela) => ({ offset: rela.off, type: rela.type, symbol: handle(rela.sym), addend: rela.addend })),
      });
      const ordinary = relas.filter(({ klp }) => klp === undefined);
      if (ordinary.length > 0) writer.relas(number, rows(ordinary));
      for (const object of new Set(relas.flatMap(({ klp }) => klp ?? []))) {
        writer.relas(number, rows(relas.filter(({ klp }) => klp === object)), {
          name: `.klp.rela.${object}.${name}`,
          flags: SHF_ALLOC | SHF_RELA_LIVEPATCH,
        });
      }
    }
    for (const { name, section, type, binding, value, size } of this.symbols) {
      const place =
        section === 'undefined'
          ? {}
          : section === 'absolute'
            ? { reserved: SHN_ABS }
            : section === 'livepatch'
              ? { reserved: SHN_LIVEPATCH }
              : { section: numbers.get(section) ?? raise(`no section ${section}`) };
      const made = writer.symbol({ name, type, binding, value, size, ...place });
      // A local name may be there several times: references mean the first.
      if (!handles.has(name)) handles.set(name, made);
    }
    for (const { relas } of this.sections) for (const { sym } of relas) handle(sym);
    return Buffer.concat(Array.from(writer.chunks(), (chunk) => Buffer.from(chunk)));
  }

  write(path: string): string {
    writeFileSync(path, this.bytes());
    return path;
  }
}

/** Where the header of a section stands in a file. */
export function headerAt(file: Buffer, name: string): number {
  const table = Number(file.readBigUInt64LE(40));
  const names = Number(file.readBigUInt64LE(table + file.readUInt16LE(62) * 64 + 24));
  for (let header = table; header < table + file.readUInt16LE(60) * 64; header += 64) {
    const at = names + file.readUInt32LE(header);
    if (file.toString('latin1', at, at + name.length + 1) === `${name}\0`) return header;
  }
  throw new Error(`no section ${name}`);
}

function raise(message: string): never {
  throw new Error(message);
}
