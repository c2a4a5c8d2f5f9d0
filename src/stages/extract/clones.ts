import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_MERGE,
  SHF_STRINGS,
  SHF_WRITE,
  SHT_GROUP,
  SHT_NOBITS,
  SHT_NULL,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
  STB_LOCAL,
  STT_NOTYPE,
  type Offset,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import type { LivepatchObject, OutputSection, OutputSymbol } from '../../livepatch/object';
import type { SectionUse } from '../../kernel/sections';
import { SectionClass } from '../../kernel/section-class';
import type { Range } from '../side/range';
import type { Side } from '../side/side';
import { literalAt } from '../side/literal';
import { Mapping } from '../side/mapping';
import { Prefixes } from '../side/prefixes';
import { bodyName, type CopyRules } from './copy-rules';
import { smallest } from '../../lists';

/** A range of PATCHED that was copied, and where its bytes went. Its references are still to be made. */
export interface Copy {
  /** What the copy is, for messages: a symbol's name, or its section and offset. */
  name: string;
  range: Range;
  section: OutputSection;
  start: number;
  /** Code that an alternatives entry puts in its site's place: what stands behind it there is the site's. */
  replaces?: true;
}

/** A place in the output that references can name. */
export interface OutputPlace {
  symbol: OutputSymbol;
  /** Distance of the place from the symbol. */
  offset: Offset;
}

/** Code that is in the output: instructions of included functions with the padding before them, and replacement code. */
export interface CodeRange extends Range {
  place: OutputPlace;
  /** Replacement code has no stack of its own to unwind: it runs in place of its site. */
  replacement: boolean;
}

const KEPT_FLAGS = SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR | SHF_MERGE | SHF_STRINGS;

/** Zero-size objects (`init_completion.__key`) are known by their address, which must not be a neighbour's. */
const EMPTY_OBJECT_ALIGN = 8;

/** Stacks are the largest things that a kernel aligns (THREAD_SIZE, 32 KiB with KASAN). */
const LARGEST_ALIGN = 0x10000;

/** Sections that say how the file is to be read: a writer makes its own. */
const OWN_TABLES: ReadonlySet<number> = new Set([
  SHT_NULL,
  SHT_SYMTAB,
  SHT_STRTAB,
  SHT_RELA,
  SHT_REL,
  SHT_SYMTAB_SHNDX,
  SHT_GROUP,
]);

/** Copies pieces of PATCHED into the output, each once. */
export class Clones {
  /** Copies whose references are still to be made, in the order in which they were copied. */
  readonly open: Copy[] = [];
  readonly code: CodeRange[] = [];
  private readonly symbols = new Map<number, OutputSymbol>();
  private readonly places = new Map<string, OutputPlace>();
  /** Where literals went, by section and start. */
  private readonly strings = new Map<string, { section: OutputSection; offset: Offset }>();
  /** Copies by section of PATCHED, of the first `counted` ones. */
  private copies: Map<number, Copy[]> | undefined;
  private counted = 0;

  constructor(
    private readonly patched: Side,
    readonly output: LivepatchObject,
    private readonly dialect: CopyRules,
  ) {}

  /** The clone of a canonical symbol, if there is one. */
  of(symbol: SymbolIndex): OutputSymbol | undefined {
    return this.symbols.get(symbol);
  }

  /** Where a place of PATCHED went; undefined where it was not copied. */
  locate(section: SectionIndex, offset: Offset): { section: OutputSection; offset: Offset } | undefined {
    if (this.copies === undefined || this.counted !== this.open.length) {
      this.copies = new Map();
      for (const copy of this.open) {
        const list = this.copies.get(copy.range.section);
        if (list === undefined) this.copies.set(copy.range.section, [copy]);
        else list.push(copy);
      }
      this.counted = this.open.length;
    }
    const all = this.copies.get(section);
    const copy =
      all?.find(({ range }) => offset >= range.start && offset < range.end) ??
      all?.find(({ range }) => offset === range.end);
    return copy === undefined
      ? this.locateString(section, offset)
      : { section: copy.section, offset: copy.start + offset - copy.range.start };
  }

  private locateString(section: SectionIndex, offset: Offset): { section: OutputSection; offset: Offset } | undefined {
    const literal =
      (this.patched.table.sectionClass[section]! & SectionClass.STRING) === 0
        ? undefined
        : literalAt(this.patched.object, section, offset);
    const copy = literal === undefined ? undefined : this.strings.get(`${section}:${literal.start}`);
    return copy === undefined ? undefined : { section: copy.section, offset: copy.offset + offset - literal!.start };
  }

  /** A function with its names and the padding before it, which boot code writes to (call depth tracking, FineIBT). */
  function(symbol: SymbolIndex): OutputSymbol {
    const { table, object } = this.patched;
    const { section, start, end } = this.patched.rangeOf(symbol);
    const prefixes = Prefixes.of(this.patched).before(symbol);
    const from = smallest([start - this.namelessPadding(symbol), ...prefixes.map((prefix) => table.value[prefix]!)]);
    const range = { section, start: from, end };
    const target = this.sectionLike(
      section,
      'both',
      object.entsize(section),
      this.dialect.sectionName(this.patched, symbol),
    );
    const placed = this.copy(
      range,
      target,
      this.patched.name(symbol),
      this.alignOf(section),
      this.patched.arch.gapByte,
    );
    this.mark(target, placed, Mapping.of(this.patched).hashBefore(section, start) > 0 && from < start, start - from);
    const clone = this.define(symbol, target, placed + start - from);
    for (const prefix of prefixes)
      this.output.define({
        ...bodyName(this.patched, prefix),
        section: target,
        value: placed + table.value[prefix]! - from,
        size: table.size[prefix]!,
      });
    this.code.push({ ...range, place: { symbol: clone, offset: from - start }, replacement: false });
    return clone;
  }

  /** Whether a copy is code that runs in another's place, which goes on behind its site. */
  replaces({ range, replaces }: Copy): boolean {
    return replaces === true || (this.patched.table.sectionClass[range.section]! & SectionClass.REPLACEMENT) !== 0;
  }

  /** A variable or constant with its names. */
  object(symbol: SymbolIndex): OutputSymbol {
    const known = this.symbols.get(symbol);
    if (known !== undefined) return known;
    const range = this.patched.rangeOf(symbol);
    const target = this.sectionLike(range.section);
    if (range.start === range.end) return this.define(symbol, target, target.append(1, EMPTY_OBJECT_ALIGN), 1);
    return this.define(
      symbol,
      target,
      this.copy(range, target, this.patched.name(symbol), this.alignOf(range.section)),
    );
  }

  /**
   * A place in a section of strings: its literal is copied whole, each text once. `label` is the symbol that a distance counts from, 0 for the
   * section's own: who links the livepatch may merge its strings, too, so a distance needs a label there as well.
   */
  string(section: SectionIndex, offset: Offset, label: number): OutputPlace | undefined {
    const { object } = this.patched;
    const literal = literalAt(object, section, offset);
    if (literal === undefined) return undefined;
    const text = object.content(section).subarray(literal.start, literal.end);
    const target = this.sectionLike(section);
    const copy = this.once(`${this.output.sections.indexOf(target)}:${Buffer.from(text).toString('latin1')}`, () => ({
      symbol: this.output.sectionSymbol(target),
      offset: target.append(text, this.alignOf(section)),
    }));
    this.strings.set(`${section}:${literal.start}`, { section: target, offset: copy.offset });
    const value = copy.offset + offset - literal.start;
    if (label === 0) return { symbol: copy.symbol, offset: value };
    return this.once(`${this.output.sections.indexOf(target)}:${value}:label`, () => ({
      symbol: this.output.define({ ...bodyName(this.patched, label), section: target, value, size: 0 }),
      offset: 0,
    }));
  }

  /** An extent of data that no symbol covers. */
  extent(range: Range): OutputPlace {
    return this.once(keyOf(range), () => {
      const target = this.sectionLike(range.section);
      return {
        symbol: this.output.sectionSymbol(target),
        offset: this.copy(range, target, this.nameOf(range), this.alignOf(range.section)),
      };
    });
  }

  /** What stands for an object without bytes in a section without bytes (`.bss.__key.414`): only its address counts. */
  emptyObject(section: SectionIndex): OutputPlace {
    return this.once(`${section}:empty`, () => {
      const target = this.sectionLike(section);
      return { symbol: this.output.sectionSymbol(target), offset: target.append(1, EMPTY_OBJECT_ALIGN) };
    });
  }

  /** An entry of a special section. Entries lie side by side; the table keeps its alignment. */
  entry(range: Range): OutputPlace {
    return this.once(keyOf(range), () => {
      const size = range.end - range.start;
      const target = this.tableLike(range.section, size);
      // The last entry of a table may lack its padding; behind it comes another here.
      if (target.size % size !== 0) target.append(size - (target.size % size));
      const placed = this.copy(
        { ...range, end: Math.min(range.end, this.patched.object.size(range.section)) },
        target,
        this.nameOf(range),
        1,
      );
      target.align = Math.max(target.align, this.alignOf(range.section));
      return { symbol: this.output.sectionSymbol(target), offset: placed };
    });
  }

  /** Code that an alternatives entry puts in its site's place, or that is jumped to and back. */
  replacement(range: Range, replaces = false): OutputPlace {
    return this.once(keyOf(range), () => {
      const target = this.sectionLike(range.section);
      const place = {
        symbol: this.output.sectionSymbol(target),
        offset: this.copy(range, target, this.nameOf(range), this.patched.arch.instructionAlign),
      };
      if (replaces) this.open.at(-1)!.replaces = true;
      this.code.push({ ...range, place, replacement: true });
      return place;
    });
  }

  /** The output's section with the attributes of a section of PATCHED. @throws KlpflowError `malformed-elf` for one that holds neither code nor data */
  sectionLike(
    section: SectionIndex,
    use: SectionUse = 'both',
    entsize = this.patched.object.entsize(section),
    name = this.patched.object.name(section),
  ): OutputSection {
    const { object } = this.patched;
    const type = object.type(section);
    if (OWN_TABLES.has(type))
      object.malformed(
        object.offset(section),
        `section ${section} (${object.name(section)}) holds code or data and is of type ${type}`,
      );
    return this.output.section({ name, type, flags: object.sectionFlags(section) & KEPT_FLAGS, entsize, use });
  }

  /** As `sectionLike` for a table of entries: a mergeable section must say how large they are, which Clang 19's assembler does not. */
  tableLike(section: SectionIndex, entrySize: number, use: SectionUse = 'both'): OutputSection {
    const { object } = this.patched;
    const entsize = object.entsize(section);
    return this.sectionLike(
      section,
      use,
      entsize === 0 && (object.sectionFlags(section) & SHF_MERGE) !== 0 ? entrySize : entsize,
    );
  }

  /** A section's alignment. @throws KlpflowError `malformed-elf` for what no memory can keep */
  alignOf(section: SectionIndex): number {
    const { object } = this.patched;
    const align = object.align(section) || 1;
    if (align > LARGEST_ALIGN || !Number.isInteger(Math.log2(align)))
      object.malformed(
        object.offset(section),
        `section ${section} (${object.name(section)}) is aligned to ${align} bytes`,
      );
    return align;
  }

  private once(key: string, make: () => OutputPlace): OutputPlace {
    let place = this.places.get(key);
    if (place === undefined) this.places.set(key, (place = make()));
    return place;
  }

  /** Copies bytes so that they keep their position within an alignment unit. @returns where they start */
  private copy(range: Range, section: OutputSection, name: string, align: number, fill = 0): number {
    const { start, end } = range;
    const content =
      section.type === SHT_NOBITS ? end - start : this.patched.object.content(range.section).subarray(start, end);
    const placed = section.append(content, align, fill, start % align);
    this.open.push({ name, range, section, start: placed });
    return placed;
  }

  /** Says where a hash stands and where code goes on, as compilers do: else it looks like an instruction. */
  private mark(section: OutputSection, value: number, hashed: boolean, length: number): void {
    if (!hashed) return;
    for (const [name, at] of [
      ['$d', value],
      ['$x', value + length],
    ] as const)
      this.output.define({ name, info: (STB_LOCAL << 4) | STT_NOTYPE, section, value: at, size: 0 });
  }

  private define(
    symbol: SymbolIndex,
    section: OutputSection,
    value: number,
    size = this.patched.table.size[symbol]!,
  ): OutputSymbol {
    const [own, ...aliases] = this.dialect.namesOf(this.patched, symbol);
    const clone = this.output.define({ ...own!, section, value, size });
    this.symbols.set(symbol, clone);
    for (const alias of aliases)
      this.output.define({ ...alias, section, value, size: this.patched.table.size[symbol]! });
    return clone;
  }

  /** What belongs to a function before its symbol without a symbol of its own: padding where it is the first one of its section, or its type's hash. */
  private namelessPadding(symbol: SymbolIndex): number {
    const { table, object } = this.patched;
    const { section, start } = this.patched.rangeOf(symbol);
    const own = table.canonical[table.covers[table.coverStart[section]!]!]! === symbol;
    const padding = own ? this.patched.arch.leadIn(object.content(section), start) : 0;
    return padding > 0 ? padding : Mapping.of(this.patched).hashBefore(section, start);
  }

  private nameOf({ section, start }: Range): string {
    const name = this.patched.object.name(section);
    return this.patched.table.sectionClass[section]! & SectionClass.SPECIAL
      ? `an entry of ${name}`
      : `${name}+0x${start.toString(16)}`;
  }
}

function keyOf({ section, start, end }: Range): string {
  return `${section}:${start}:${end}`;
}
