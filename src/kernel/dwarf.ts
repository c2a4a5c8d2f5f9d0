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

const STRUCTURE = 0x13;
const NAME = 0x03;
const BYTE_SIZE = 0x0b;
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

type Abbreviation = { tag: number; attributes: Array<{ attribute: number; form: number; constant: number }> };

/**
 * Sizes in bytes of the named structs that an object's own debug information (DWARF 2 to 5) describes. It is a hint that its user
 * confirms otherwise: what is damaged, compressed or of another kind ends the search with what was found so far.
 */
export function dwarfStructSizes(object: ElfObject, names: readonly string[]): Record<string, number> {
  const sections = new Map<string, number>();
  for (let section = 1; section < object.sectionCount; section++) {
    const name = object.type(section) === SHT_RELA ? '' : object.name(section);
    if (name.startsWith('.debug_') && !sections.has(name) && (object.sectionFlags(section) & SHF_COMPRESSED) === 0)
      sections.set(name, section);
  }
  const sizes: Record<string, number> = {};
  const [info, abbreviations] = [sections.get('.debug_info'), sections.get('.debug_abbrev')];
  if (info === undefined || abbreviations === undefined) return sizes;
  try {
    new Units(object, sections, new Set(names), sizes).read(info, abbreviations);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
  }
  return sizes;
}

class Units {
  private readonly relocated = new Map<number, Map<number, number>>();
  private at = 0;
  private view: DataView = new DataView(new ArrayBuffer(0));
  private section = 0;
  private stringBase = 8;

  constructor(
    private readonly object: ElfObject,
    private readonly sections: ReadonlyMap<string, number>,
    private readonly wanted: Set<string>,
    private readonly sizes: Record<string, number>,
  ) {}

  /** @throws RangeError for what ends in the middle */
  read(info: number, abbreviations: number): void {
    for (let start = 0; start < this.object.size(info) && this.wanted.size > 0; ) {
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
      this.entries(known, end);
      start = end;
    }
  }

  private entries(known: ReadonlyMap<number, Abbreviation>, end: number): void {
    while (this.at < end && this.wanted.size > 0) {
      const code = this.leb();
      if (code === 0) continue;
      const { tag, attributes } = known.get(code) ?? outOfRange();
      let name = '';
      let size = -1;
      for (const { attribute, form, constant } of attributes) {
        if (tag === STRUCTURE && attribute === NAME) name = this.string(form);
        else if (tag === STRUCTURE && attribute === BYTE_SIZE) size = this.value(form, constant);
        else if (attribute === STRING_OFFSETS_BASE) this.stringBase = this.offset();
        else this.value(form, constant);
      }
      if (size > 0 && this.wanted.delete(name)) this.sizes[name] = size;
    }
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
