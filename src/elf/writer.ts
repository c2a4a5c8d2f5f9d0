import type { SectionIndex } from './indices';
import {
  EHDR_SIZE,
  GRP_COMDAT,
  RELA_SIZE,
  SHDR_SIZE,
  SHF_INFO_LINK,
  SHT_GROUP,
  SHT_NOBITS,
  SHT_NULL,
  SHT_PROGBITS,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
  STT_SECTION,
  SYM_SIZE,
} from './constants';
import { writeAtomically } from '../files/output-file';
import { filePieces } from './writer-layout';
import type { PlannedContent } from './writer-content';
import { LINK_SYMTAB, WriterSections, type SectionPlan } from './writer-sections';
import { WriterSymbols, type SymbolSpec } from './writer-symbols';
import { RelaContent, extendedIndexBytes, symbolBytes, wordBytes, type Relas } from './writer-tables';

export type { SymbolSpec } from './writer-symbols';
export type { Rela, RelaSource, Relas } from './writer-tables';

/**
 * Bytes of a section: all of them, or their number and a way to produce them piece by piece when they are written.
 * The number is asked for when the file is laid out: until then a section may grow. Where the number is final it may
 * stand beside a producer (`from`) that serves any number of sections: a kernel has a million of them.
 */
export type Content =
  | Uint8Array
  | { readonly size: number; chunks(): Iterable<Uint8Array> }
  | { readonly size: number; readonly from: ContentProducer };
export interface ContentProducer {
  chunks(section: SectionIndex): Iterable<Uint8Array>;
}

export interface SectionSpec {
  name: string;
  /** SHT_*; default SHT_PROGBITS. */
  type?: number;
  /** SHF_*; default none. */
  flags?: number;
  /** A power of two; default 1. */
  align?: number;
  entsize?: number;
  /** sh_link: a section index, or the symbol table, whose index is not known before the file is laid out. */
  link?: number | 'symtab';
  info?: number;
  /** Default empty. */
  content?: Content;
  /** SHT_NOBITS only: size in memory, or who knows it when the file is laid out. */
  size?: number | { readonly size: number };
  /** The group this section belongs to, from `group()`. */
  group?: number;
}

/** Bytes gathered before they are handed on: the file is never in memory as a whole. */
const STAGE_BYTES = 1 << 20;

const NOTHING = new Uint8Array(0);
const NULL_SECTION: SectionPlan = {
  type: SHT_NULL,
  flags: 0,
  align: 0,
  entsize: 0,
  link: 0,
  info: 0,
  content: NOTHING,
};

/**
 * Writes an ELF64 relocatable object.
 *
 * In two phases: while sections, symbols and relocations are added only their sizes are settled; then every range
 * of the file is reserved and the bytes are produced front to back, so that content may be made on the way.
 * A section's handle is its final index. A symbol's handle is not, because locals must come first in the table:
 * `symbolIndices` translates.
 */
export class ElfWriter {
  private readonly sections = new WriterSections();
  private readonly symbols: WriterSymbols;
  /** Handle of each section's own symbol, 0 for none. */
  private sectionSymbols = new Uint32Array(1024);
  private readonly groupMembers = new Map<number, number[]>();
  /** The content that wraps each shared producer of bytes, and of relocations. */
  private readonly sharedBytes = new Map<object, PlannedContent>();
  private readonly sharedRelas = new Map<object, PlannedContent>();
  private readonly little: boolean;

  /** `flags` is e_flags: 2 on ppc64 for the ELFv2 ABI, else 0. Default byte order is little-endian. */
  constructor(private readonly target: { machine: number; little?: boolean; flags?: number }) {
    this.little = target.little ?? true;
    this.symbols = new WriterSymbols(this.little);
    this.sections.add('', NULL_SECTION);
  }

  /** Adds a section behind those already there and returns its index. */
  section(spec: SectionSpec): number {
    const { content, type = SHT_PROGBITS, align = 1 } = spec;
    if (type === SHT_NOBITS ? content !== undefined : spec.size !== undefined)
      throw new RangeError(`section ${spec.name}: a size belongs to SHT_NOBITS, content to all others`);
    if (!Number.isInteger(Math.log2(align)))
      throw new RangeError(`section ${spec.name}: alignment ${align} is not a power of two`);
    const produced = content !== undefined && 'from' in content;
    return this.add(spec.name, spec.group, {
      type,
      flags: spec.flags ?? 0,
      align,
      entsize: spec.entsize ?? 0,
      link: spec.link === 'symtab' ? LINK_SYMTAB : (spec.link ?? 0),
      info: spec.info ?? 0,
      content:
        typeof spec.size === 'object'
          ? sized(spec.size)
          : produced
            ? wrapped(this.sharedBytes, content.from, ({ chunks }) => ({
                chunks: (_, section) => chunks.call(content.from, section),
              }))
            : (content ?? NOTHING),
      size: produced ? content.size : typeof spec.size === 'number' ? spec.size : undefined,
    });
  }

  /** Adds a symbol and returns its handle. Its section may follow later. */
  symbol(spec: SymbolSpec): number {
    return this.symbols.add(spec);
  }

  /** The name of a symbol that was added. */
  symbolName(handle: number): string {
    return this.symbols.nameOf(handle);
  }

  /** The section's own symbol, added at the first call: in a kernel object it stands in the scope of the FILE that uses it. */
  sectionSymbol(section: SectionIndex): number {
    if (section >= this.sectionSymbols.length) {
      const grown = new Uint32Array(Math.max(section + 1, this.sectionSymbols.length * 2));
      grown.set(this.sectionSymbols);
      this.sectionSymbols = grown;
    }
    return (this.sectionSymbols[section] ||= this.symbol({ name: '', type: STT_SECTION, section }));
  }

  /**
   * Adds the relocations of section `target` as a section of their own and returns its index.
   * Its name is `.rela` and the target's name, its flag SHF_INFO_LINK, unless stated (SHF_INFO_LINK is always set).
   */
  relas(target: number, relas: Relas, options: { name?: string; flags?: number; group?: number } = {}): number {
    const produced = 'from' in relas;
    return this.add(options.name ?? `.rela${this.sections.name(target)}`, options.group, {
      type: SHT_RELA,
      flags: (options.flags ?? 0) | SHF_INFO_LINK,
      align: 8,
      entsize: RELA_SIZE,
      link: LINK_SYMTAB,
      info: target,
      content: produced
        ? wrapped(this.sharedRelas, relas.from, (from) => new RelaContent(from, this.sections, this.little))
        : new RelaContent(relas, this.sections, this.little),
      size: produced ? relas.count * RELA_SIZE : undefined,
    });
  }

  /** Adds a section group, COMDAT unless stated. Its header must stand before those of its members, which name it as their `group`. */
  group(signature: number, options: { name?: string; comdat?: boolean } = {}): number {
    const members: number[] = [];
    const word = options.comdat === false ? 0 : GRP_COMDAT;
    const index = this.add(options.name ?? '.group', undefined, {
      type: SHT_GROUP,
      flags: 0,
      align: 4,
      entsize: 4,
      link: LINK_SYMTAB,
      info: { signature },
      content: {
        get size() {
          return 4 + 4 * members.length;
        },
        chunks: () => [wordBytes([word, ...members], this.little)],
      },
    });
    this.groupMembers.set(index, members);
    return index;
  }

  /** How much there is so far: sections and symbols with the tables that `write` adds, relocations, and bytes of the file. */
  counts(): { bytes: number; sections: number; symbols: number; relas: number } {
    const { sections, symbols } = this;
    const tables = 3 + (symbols.needsExtended ? 1 : 0);
    let bytes =
      EHDR_SIZE +
      (sections.count + tables) * SHDR_SIZE +
      symbols.count * (SYM_SIZE + (symbols.needsExtended ? 4 : 0)) +
      sections.nameTable.bytes.length +
      symbols.names.bytes.length;
    let relas = 0;
    for (let index = 1; index < sections.count; index++) {
      if (sections.types[index] === SHT_NOBITS) continue;
      const size = sections.size(index);
      bytes += size;
      if (sections.types[index] === SHT_RELA) relas += size / RELA_SIZE;
    }
    return { bytes, sections: sections.count + tables, symbols: symbols.count, relas };
  }

  /** Writes the object to `path`, whole or not at all; returns its size in bytes. @throws KlpflowError as `writeAtomically` */
  async write(path: string): Promise<number> {
    return writeAtomically(path, this.chunks());
  }

  /**
   * The file's bytes, front to back, in chunks of at most 1 MiB. A chunk is overwritten when the next one is asked for.
   * @throws RangeError when a producer gives another number of bytes than it announced, or names a symbol that does not exist;
   *   when a symbol's section was never added
   */
  *chunks(): Generator<Uint8Array> {
    const stage = new Uint8Array(STAGE_BYTES);
    let filled = 0;
    for (const piece of this.pieces()) {
      // Most of a kernel's 200,000 pieces are a few hundred bytes.
      if (filled + piece.length < STAGE_BYTES) {
        stage.set(piece, filled);
        filled += piece.length;
        continue;
      }
      for (let taken = 0; taken < piece.length; ) {
        const part = piece.subarray(taken, taken + STAGE_BYTES - filled);
        stage.set(part, filled);
        filled += part.length;
        taken += part.length;
        if (filled < STAGE_BYTES) continue;
        yield stage;
        filled = 0;
      }
    }
    if (filled > 0) yield stage.subarray(0, filled);
  }

  /** Index of each symbol handle in the table as it stands. Symbols added later move it. */
  symbolIndices(): Uint32Array {
    const indices = new Uint32Array(this.symbols.count);
    this.symbols.order().forEach((handle, index) => (indices[handle] = index));
    return indices;
  }

  private add(name: string, group: number | undefined, plan: SectionPlan): number {
    const members = group === undefined ? undefined : this.groupMembers.get(group);
    if (group !== undefined && members === undefined)
      throw new RangeError(`section ${name}: section ${group} is not a group`);
    const index = this.sections.add(name, plan);
    if (members === undefined) return index;
    members.push(index);
    this.sections.joinGroup(index);
    return index;
  }

  /** The whole file; the symbol table and the string tables are made here and stand behind all other sections. */
  private *pieces(): Generator<Uint8Array> {
    const { little, symbols, sections } = this;
    const { nameTable } = sections;
    const order = symbols.order();
    const symtab = sections.count;
    if (symbols.highestSection >= symtab)
      throw new RangeError(`a symbol is defined in section ${symbols.highestSection}, of ${symtab}`);
    const base = { ...NULL_SECTION, align: 1 };
    // For the time of this pass only: more may be added afterwards, and all be written again.
    sections.add('.symtab', {
      ...base,
      type: SHT_SYMTAB,
      align: 8,
      entsize: SYM_SIZE,
      link: symtab + 2,
      info: symbols.localCount,
      content: { size: symbols.count * SYM_SIZE, chunks: (pass) => symbolBytes(symbols, order, pass) },
    });
    sections.add('.shstrtab', {
      ...base,
      type: SHT_STRTAB,
      content: {
        get size() {
          return nameTable.bytes.length;
        },
        chunks: () => [nameTable.bytes],
      },
    });
    sections.add('.strtab', { ...base, type: SHT_STRTAB, content: symbols.names.bytes });
    if (symbols.needsExtended) {
      const content = { size: symbols.count * 4, chunks: () => extendedIndexBytes(symbols, order, little) };
      sections.add('.symtab_shndx', {
        ...base,
        type: SHT_SYMTAB_SHNDX,
        align: 4,
        entsize: 4,
        link: LINK_SYMTAB,
        content,
      });
    }
    const facts = {
      machine: this.target.machine,
      flags: this.target.flags ?? 0,
      little,
      symtab,
      sectionNames: symtab + 1,
      symbolIndices: this.symbolIndices(),
    };
    try {
      yield* filePieces(sections, facts);
    } finally {
      sections.truncate(symtab);
    }
  }
}

/** What chunks make together. Each is copied: its producer may use it again for the next. */
export function wholeOf(chunks: Iterable<Uint8Array>): Buffer {
  return Buffer.concat(Array.from(chunks, (chunk) => Buffer.from(chunk)));
}

function wrapped<T extends object>(
  known: Map<object, PlannedContent>,
  producer: T,
  make: (producer: T) => PlannedContent,
): PlannedContent {
  let content = known.get(producer);
  if (content === undefined) known.set(producer, (content = make(producer)));
  return content;
}

/** The size of a section without bytes, asked for when the file is laid out. */
function sized(of: { readonly size: number }): PlannedContent {
  return {
    get size() {
      return of.size;
    },
    chunks: () => [],
  };
}
