import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  SHF_COMPRESSED,
  SHT_RELA,
  ST_VALUE,
  SYM_WORDS,
  s64,
  u64,
  type ElfObject,
  type Offset,
  type SectionIndex,
} from '../elf';

const NAME = 0x03;
const STRING_OFFSETS_BASE = 0x72;

/** Bytes of forms of fixed width, DW_FORM_data1 and the like. */
const WIDTHS: Readonly<Record<number, number>> = {
  0x05: 2,
  0x06: 4,
  0x07: 8,
  0x0b: 1,
  0x0c: 1,
  0x11: 1,
  0x12: 2,
  0x13: 4,
  0x14: 8,
  0x19: 0,
  0x1c: 4,
  0x1e: 16,
  0x20: 8,
  0x24: 8,
  0x25: 1,
  0x26: 2,
  0x27: 3,
  0x28: 4,
  0x29: 1,
  0x2a: 2,
  0x2b: 3,
  0x2c: 4,
};
/** Forms that are an offset into another section. */
const STRP = 0x0e;
const LINE_STRP = 0x1f;
const OFFSETS = new Set([STRP, 0x10, 0x17, 0x1d, LINE_STRP]);
const LEB = new Set([0x0d, 0x0f, 0x15, 0x1a, 0x1b, 0x22, 0x23]);
const STRX = new Set([0x1a, 0x25, 0x26, 0x27, 0x28]);
const IMPLICIT = 0x21;
/** Entries of other units: DW_FORM_ref_addr, and those known by a signature or in another file. */
const ELSEWHERE = new Set([0x10, 0x1c, 0x20, 0x24]);

const NONE: ReadonlyMap<number, number> = new Map();

type Abbreviation = { tag: number; attributes: Array<{ attribute: number; form: number; constant: number }> };

/** An entry: its tag, and the values of the attributes that were asked for. */
export interface Entry {
  tag: number;
  name: string;
  /** Numbers by attribute: sizes, and places of other entries from the unit's start. */
  numbers: ReadonlyMap<number, number>;
}

/**
 * Goes through the entries of an object's own debug information (DWARF 2 to 5). What is damaged, compressed or of another kind ends it with what was found so far: whoever asks takes the
 * answers as hints.
 */
export abstract class DwarfReader {
  private readonly sections = new Map<string, number>();
  private readonly relocated = new Map<number, Map<number, number>>();
  private at = 0;
  private view: DataView = new DataView(new ArrayBuffer(0));
  private section = 0;
  private stringBase = 8;
  private unit: { start: number; end: number; known: ReadonlyMap<number, Abbreviation> } = {
    start: 0,
    end: 0,
    known: new Map(),
  };

  /** `wanted`: attributes besides the name whose numbers are asked for. */
  constructor(
    private readonly object: ElfObject,
    private readonly wanted: ReadonlySet<number>,
  ) {
    for (let section = 1; section < object.sectionCount; section++) {
      const name = object.type(section) === SHT_RELA ? '' : object.name(section);
      if (
        name.startsWith('.debug_') &&
        !this.sections.has(name) &&
        (object.sectionFlags(section) & SHF_COMPRESSED) === 0
      )
        this.sections.set(name, section);
    }
  }

  /** Of what tags names and numbers are asked for. */
  protected abstract isWanted(tag: number): boolean;
  /** Told each wanted entry. @returns whether to go on */
  protected abstract entry(entry: Entry): boolean;
  /** Told where a unit ends, while its entries can be asked for by `entryAt`. */
  protected unitEnds(): void {
    // Most ask nothing more.
  }

  /** Bytes of entries; 0 where there are none that can be read. */
  get bytes(): number {
    const info = this.sections.get('.debug_info');
    return info === undefined ? 0 : this.object.size(info);
  }

  read(): void {
    const [info, abbreviations] = [this.sections.get('.debug_info'), this.sections.get('.debug_abbrev')];
    if (info === undefined || abbreviations === undefined) return;
    try {
      this.units(info, abbreviations);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
    }
  }

  /** The entry so many bytes behind the start of the unit that has just been read; undefined where there is none. */
  protected entryAt(offset: Offset): Entry | undefined {
    this.at = this.unit.start + offset;
    return offset <= 0 || this.at >= this.unit.end ? undefined : this.next();
  }

  /** @throws RangeError for what ends in the middle */
  private units(info: number, abbreviations: number): void {
    for (let start = 0; start < this.object.size(info); ) {
      this.enter(info, start);
      const length = this.fixed(4);
      const end = start + 4 + length;
      // The 64-bit format, of which no kernel makes use.
      if (length >= 0xfffffff0 || end > this.object.size(info)) return;
      const version = this.fixed(2);
      if (version < 2 || version > 5) return;
      if (version >= 5) this.at += 2;
      const table = this.offset();
      if (version < 5) this.at += 1;
      const next = this.at;
      const known = this.abbreviations(abbreviations, table);
      this.enter(info, next);
      this.unit = { start, end, known };
      while (this.at < end) {
        const entry = this.next();
        if (entry !== undefined && this.isWanted(entry.tag) && !this.entry(entry)) return;
      }
      this.unitEnds();
      start = end;
    }
  }

  /** The entry that comes next; undefined for the end of a list. */
  private next(): Entry | undefined {
    const code = this.leb();
    if (code === 0) return undefined;
    const { tag, attributes } = this.unit.known.get(code) ?? outOfRange();
    const isWanted = this.isWanted(tag);
    let name = '';
    let numbers: Map<number, number> | undefined;
    for (const { attribute, form, constant } of attributes) {
      if (isWanted && attribute === NAME) name = this.string(form);
      else if (attribute === STRING_OFFSETS_BASE) this.stringBase = this.offset();
      else {
        const value = this.value(form, constant);
        if (isWanted && this.wanted.has(attribute) && !ELSEWHERE.has(form))
          (numbers ??= new Map()).set(attribute, value);
      }
    }
    return { tag, name, numbers: numbers ?? NONE };
  }

  private abbreviations(section: SectionIndex, start: number): Map<number, Abbreviation> {
    this.enter(section, start);
    const known = new Map<number, Abbreviation>();
    for (let code = this.leb(); code !== 0; code = this.leb()) {
      const tag = this.leb();
      this.at += 1;
      const attributes: Abbreviation['attributes'] = [];
      for (;;) {
        const attribute = this.leb();
        const form = this.leb();
        const constant = form === IMPLICIT ? this.leb() : 0;
        if (attribute === 0 && form === 0) break;
        attributes.push({ attribute, form, constant });
      }
      known.set(code, { tag, attributes });
    }
    return known;
  }

  /** Passes a value; numbers are told, whatever else it is is 0. */
  private value(form: number, constant: number): number {
    const width = WIDTHS[form];
    if (width !== undefined) return this.fixed(width);
    if (LEB.has(form)) return this.leb();
    if (OFFSETS.has(form)) return this.fixed(4);
    if (form === IMPLICIT) return constant;
    if (form === 0x01) this.at += 8;
    else if (form === 0x08) while (this.fixed(1) !== 0);
    else if (form === 0x0a) this.skip(this.fixed(1));
    else if (form === 0x03) this.skip(this.fixed(2));
    else if (form === 0x04) this.skip(this.fixed(4));
    else if (form === 0x09 || form === 0x18) this.skip(this.leb());
    else return form === 0x16 ? this.value(this.leb(), 0) : outOfRange();
    return 0;
  }

  /** Passes a block whose length was just read. */
  private skip(length: number): void {
    this.at += length;
  }

  private string(form: number): string {
    if (form === 0x08) {
      const start = this.at;
      while (this.fixed(1) !== 0);
      return Buffer.from(this.view.buffer, this.view.byteOffset + start, this.at - 1 - start).toString('utf8');
    }
    if (form === STRP || form === LINE_STRP)
      return this.textAt(form === STRP ? '.debug_str' : '.debug_line_str', this.offset());
    const index = this.value(form, 0);
    const offsets = this.sections.get('.debug_str_offsets');
    if (!STRX.has(form) || offsets === undefined) return '';
    const { at } = this;
    const { section } = this;
    this.enter(offsets, this.stringBase + index * 4);
    const place = this.offset();
    this.enter(section, at);
    return this.textAt('.debug_str', place);
  }

  private textAt(name: string, offset: Offset): string {
    const section = this.sections.get(name);
    if (section === undefined || offset < 0 || offset >= this.object.size(section)) return '';
    const start = this.object.offset(section);
    return this.object.text(start + offset, start + this.object.size(section));
  }

  private enter(section: SectionIndex, at: number): void {
    if (section !== this.section) {
      const content = this.object.content(section);
      this.view = new DataView(content.buffer, content.byteOffset, content.byteLength);
      this.section = section;
    }
    this.at = at;
  }

  /** An offset into another section: what its relocation says, where it has one. */
  private offset(): number {
    const stored = this.fixed(4);
    return this.relocations(this.section).get(this.at - 4) ?? stored;
  }

  private relocations(section: SectionIndex): Map<number, number> {
    let values = this.relocated.get(section);
    if (values !== undefined) return values;
    values = new Map();
    this.relocated.set(section, values);
    const { object } = this;
    for (let rela = 1; rela < object.sectionCount; rela++) {
      if (object.type(rela) !== SHT_RELA || object.info(rela) !== section) continue;
      const words = object.relas(rela);
      for (let i = 0; i < words.length; i += RELA_WORDS) {
        const symbol = words[i + R_SYM]!;
        if (symbol < object.symbolCount)
          values.set(
            u64(words, i + R_OFFSET),
            u64(object.symbols, symbol * SYM_WORDS + ST_VALUE) + s64(words, i + R_ADDEND),
          );
      }
    }
    return values;
  }

  private fixed(width: number): number {
    const { view, at } = this;
    const { little } = this.object;
    this.at += width;
    if (this.at > view.byteLength) outOfRange();
    if (width === 1) return view.getUint8(at);
    if (width === 2) return view.getUint16(at, little);
    if (width === 4) return view.getUint32(at, little);
    if (width === 3)
      return little
        ? view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
        : (view.getUint8(at) << 16) | view.getUint16(at + 1, false);
    return width === 8 ? Number(view.getBigUint64(at, little)) : 0;
  }

  private leb(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.fixed(1);
      // Above 2^28 no code, index or size of interest lies.
      if (shift < 28) value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
  }
}

function outOfRange(): never {
  throw new RangeError('debug information ends in the middle');
}
