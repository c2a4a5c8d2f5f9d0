import {
  EM_X86_64,
  SHF_EXECINSTR,
  SHN_ABS,
  SHN_COMMON,
  SHT_NOBITS,
  STT_FILE,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
} from '../../src/elf/constants';
import type { ElfWriter } from '../../src/elf/writer';
import { assemble, type Binding, type SectionDraft, type SymbolDraft } from './assemble';
import { encode, type Body, type RelaSpec, type StringTarget } from './fields';
import { sectionDefaults, type SectionDefaults } from './section-defaults';

export * from './fields';

export interface PlaceOptions {
  /** Default: `.text.`, `.data.`, `.rodata.` or `.bss.` and the symbol's name. A section of that name is shared when it exists. */
  section?: string;
  /** Offset in the section in bytes; default behind what is there, aligned. */
  at?: number;
  /** Default: that of the section's kind. */
  align?: number;
  bind?: Binding;
  /** st_size; default the content's length. */
  size?: number;
  /** st_other: visibility. */
  other?: number;
  /** Relocations besides those within the body; offsets count from the symbol. */
  relas?: RelaSpec[];
}

export interface SymbolOptions {
  section?: string;
  at?: number;
  size?: number;
  type?: number;
  bind?: Binding;
  other?: number;
}

/** Starts an object; x86-64, little-endian unless stated. */
export function object(options: { machine?: number; endian?: 'little' | 'big'; flags?: number } = {}): ObjectBuilder {
  return new ObjectBuilder(options.machine ?? EM_X86_64, options.endian !== 'big', options.flags ?? 0);
}

/**
 * Makes small ELF objects for tests, shaped like what a kernel build leaves.
 *
 *     const orig = object().file('core.c')
 *       .func('foo', code(ENDBR, FTRACE_NOP, 0xe8, plt32('bar'), 0x48, 0x8d, 0x3d, disp32({ string: 'hello' }), RETURN))
 *       .func('helper', hex('c3'), { section: '.text.foo', bind: 'local' })
 *       .special('__bug_table', ref32('foo', 9), ref32({ string: 'kernel/core.c' }), u16(12), u16(0x901))
 *       .bytes();
 *
 * Symbols are local to the latest `file` unless `bind` says otherwise; they keep their order. Targets may be
 * defined later. `bytes()` gives a copy: a test may spoil it at will.
 */
export class ObjectBuilder {
  private readonly sections: SectionDraft[] = [];
  private readonly latest = new Map<string, number>();
  private readonly symbols: SymbolDraft[] = [];
  private readonly strings = new Map<string, number>();
  private scope = 0;

  constructor(
    private readonly machine: number,
    private readonly little: boolean,
    private readonly flags: number,
  ) {}

  /** A FILE symbol: locals that follow are in its scope. */
  file(name: string): this {
    this.scope = this.symbols.length + 1;
    return this.add({ name, type: STT_FILE, scope: this.scope, draft: -1, reserved: SHN_ABS });
  }

  func(name: string, body: Body, options: PlaceOptions = {}): this {
    return this.place(name, STT_FUNC, `.text.${name}`, body, options);
  }

  /** A function behind `pad` NOPs that have a prefix symbol, as objtool leaves it in kernels with call padding. */
  padded(name: string, body: Body, options: PlaceOptions & { pad?: number } = {}): this {
    const { pad = 16, section = `.text.${name}`, at, align = 16, bind = 'global' } = options;
    this.func(`__pfx_${name}`, new Uint8Array(pad).fill(0x90), {
      section,
      align,
      bind,
      ...(at === undefined ? {} : { at: at - pad }),
    });
    return this.func(name, body, { ...options, section, align: at === undefined ? 1 : align });
  }

  data(name: string, body: Body, options: PlaceOptions = {}): this {
    return this.place(name, STT_OBJECT, `.data.${name}`, body, options);
  }

  rodata(name: string, body: Body, options: PlaceOptions = {}): this {
    return this.place(name, STT_OBJECT, `.rodata.${name}`, body, options);
  }

  bss(name: string, size: number, options: PlaceOptions = {}): this {
    return this.place(name, STT_OBJECT, `.bss.${name}`, new Uint8Array(size), options);
  }

  /** A string of a merged string section; offsets within it are given out in the order strings are first named. */
  string(text: string, options: { unit?: 1 | 2 | 4; section?: string } = {}): this {
    this.stringOffset({ string: text, ...options });
    return this;
  }

  /** An anonymous constant, for instance of `.rodata.cst16`. Refer to it as `{ section }` plus its offset. */
  constant(section: string, body: Body): this {
    return this.content(this.open(section), body);
  }

  /** One entry of a special section. */
  special(section: string, ...entry: Exclude<Body, Uint8Array>): this {
    return this.content(this.open(section), entry, 1);
  }

  /** Opens a section, or with `fresh` another one of the same name: further content of that name goes there. */
  section(
    name: string,
    options: Partial<SectionDefaults> & { fresh?: boolean; body?: Body; linkTo?: string } = {},
  ): this {
    const { fresh = false, body, linkTo, ...header } = options;
    if (fresh) this.latest.delete(name);
    const draft = Object.assign(this.open(name), header);
    if (linkTo !== undefined) draft.link = this.open(linkTo).number;
    return body === undefined ? this : this.content(draft, body, 1);
  }

  /** A NOTYPE symbol in code or data. */
  label(name: string, options: SymbolOptions & { section: string }): this {
    return this.symbol(name, { type: STT_NOTYPE, ...options });
  }

  /** Any symbol; without a section an undefined one. */
  symbol(name: string, options: SymbolOptions = {}): this {
    const { section } = options;
    const draft = section === undefined ? -1 : this.open(section).number;
    return this.add({ name, bind: section === undefined ? 'global' : 'local', ...options, scope: this.scope, draft });
  }

  /** Another name for the latest symbol called `of`. */
  alias(name: string, of: string, options: { bind?: Binding; type?: number } = {}): this {
    const original = this.symbols.findLast((symbol) => symbol.name === of);
    if (original === undefined) throw new Error(`alias ${name}: there is no symbol ${of}`);
    return this.add({ ...original, name, scope: this.scope, ...options });
  }

  undef(name: string, bind: Binding = 'global'): this {
    return this.symbol(name, { bind });
  }

  abs(name: string, value: number, bind: Binding = 'local'): this {
    return this.add({ name, at: value, bind, scope: this.scope, draft: -1, reserved: SHN_ABS });
  }

  common(name: string, size: number, align = 8): this {
    return this.add({
      name,
      at: align,
      size,
      type: STT_OBJECT,
      bind: 'global',
      scope: this.scope,
      draft: -1,
      reserved: SHN_COMMON,
    });
  }

  /** Relocations of a section that are not given with its content; offsets count from the section's start. */
  relas(section: string, ...relas: RelaSpec[]): this {
    const draft = this.open(section);
    for (const rela of relas) this.refer(draft, rela, 0);
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(Array.from(this.build().chunks(), (chunk) => Buffer.from(chunk)));
  }

  /** Writes the object and returns the path. */
  async write(path: string): Promise<string> {
    await this.build().write(path);
    return path;
  }

  private build(): ElfWriter {
    return assemble({ machine: this.machine, little: this.little, flags: this.flags }, this.sections, this.symbols);
  }

  private add(symbol: SymbolDraft): this {
    this.symbols.push(symbol);
    return this;
  }

  private content(draft: SectionDraft, body: Body, align = draft.align): this {
    const { bytes, relas } = encode(body, this.little);
    this.append(draft, bytes, { align, relas });
    return this;
  }

  private place(name: string, type: number, fallback: string, body: Body, options: PlaceOptions): this {
    const { section = fallback, bind = 'global', other } = options;
    const { bytes, relas } = encode(body, this.little);
    const draft = this.open(section);
    const at = this.append(draft, bytes, { ...options, relas: [...relas, ...(options.relas ?? [])] });
    return this.add({
      name,
      type,
      scope: this.scope,
      draft: draft.number,
      at,
      size: options.size ?? bytes.length,
      bind,
      ...(other === undefined ? {} : { other }),
    });
  }

  /** The latest section of this name, made when there is none. */
  private open(name: string): SectionDraft {
    let number = this.latest.get(name);
    if (number === undefined) {
      number = this.sections.length;
      this.sections.push({
        number,
        name,
        ...sectionDefaults(name),
        bytes: new Uint8Array(16),
        used: 0,
        link: -1,
        relas: [],
      });
      this.latest.set(name, number);
    }
    return this.sections[number]!;
  }

  /** Puts content into a section and returns its offset there. Gaps in code are NOPs, elsewhere zeros. */
  private append(
    draft: SectionDraft,
    bytes: Uint8Array,
    options: { at?: number; align?: number; relas: RelaSpec[] },
  ): number {
    const align = options.align ?? draft.align;
    draft.align = Math.max(draft.align, align);
    const at = options.at ?? Math.ceil(draft.used / align) * align;
    const end = at + bytes.length;
    if (draft.type !== SHT_NOBITS) {
      if (end > draft.bytes.length) {
        const grown = new Uint8Array(Math.max(end, draft.bytes.length * 2));
        grown.set(draft.bytes);
        draft.bytes = grown;
      }
      if (at > draft.used && draft.flags & SHF_EXECINSTR) draft.bytes.fill(0x90, draft.used, at);
      draft.bytes.set(bytes, at);
    }
    draft.used = Math.max(draft.used, end);
    for (const rela of options.relas) this.refer(draft, rela, at);
    return at;
  }

  private refer(draft: SectionDraft, rela: RelaSpec, base: number): void {
    const { sym, addend = 0, off, type } = rela;
    const entry = { off: base + off, type, scope: this.scope };
    if (typeof sym === 'string') draft.relas.push({ ...entry, sym, addend });
    else if ('string' in sym) {
      const offset = this.stringOffset(sym);
      const section = sym.section ?? stringSection(sym.unit);
      draft.relas.push({
        ...entry,
        sym: { draft: this.latest.get(section)! },
        addend: typeof addend === 'bigint' ? addend + BigInt(offset) : addend + offset,
      });
    } else draft.relas.push({ ...entry, sym: { draft: this.open(sym.section).number }, addend });
  }

  /** Offset of a string in its section, where it is stored once. */
  private stringOffset(target: StringTarget): number {
    const { string: text, unit = 1, section = stringSection(unit) } = target;
    const key = `${section} ${text}`;
    let offset = this.strings.get(key);
    if (offset === undefined) {
      const units =
        unit === 1
          ? [...new TextEncoder().encode(text), 0]
          : [...text, '\0'].map((character) => character.codePointAt(0)!);
      const { bytes } = encode(
        units.map((value) => (unit === 1 ? value : { width: unit, value })),
        this.little,
      );
      offset = this.append(this.open(section), bytes, { relas: [] });
      this.strings.set(key, offset);
    }
    return offset;
  }
}

function stringSection(unit = 1): string {
  return `.rodata.str${unit}.${unit}`;
}
