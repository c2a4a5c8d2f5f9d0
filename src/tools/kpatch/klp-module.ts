import { KlpflowError } from '../../diagnostics';
import {
  SHF_ALLOC,
  SHF_GROUP,
  SHF_INFO_LINK,
  SHF_LINK_ORDER,
  SHF_RELA_LIVEPATCH,
  SHN_LIVEPATCH,
  SHN_LORESERVE,
  SHN_XINDEX,
  SHT_GROUP,
  SHT_NOBITS,
  SHT_NULL,
  SHT_PROGBITS,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
  STT_SECTION,
  ST_INFO,
  ST_SIZE,
  ST_VALUE,
  SYM_WORDS,
  type ElfObject,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import { ElfWriter, type Rela } from '../../elf/writer';
import {
  ARCH,
  LONGEST_KLP_SYMBOL,
  RELOCATIONS,
  SYMBOLS,
  isAppliedLate,
  klpArchName,
  klpRelaName,
} from '../../livepatch/kpatch/layout';
import { klpSymbolName } from '../../livepatch/klp/layout';
import { LinkedModule, relasOf } from './linked-module';
import { append } from '../../lists';

export interface KlpModuleOptions {
  /** Make `.klp.arch` sections, for kernels before 5.8. */
  archSections: boolean;
  /** Size of struct paravirt_patch_site, where such sections are joined. */
  paraSize?: number | undefined;
}

const CONSUMED: ReadonlySet<string> = new Set([RELOCATIONS.name, SYMBOLS.name, ARCH.name]);
/** Made anew by the writer; groups mean nothing behind the last link. */
const OWN_TABLES: ReadonlySet<number> = new Set([
  SHT_NULL,
  SHT_SYMTAB,
  SHT_STRTAB,
  SHT_SYMTAB_SHNDX,
  SHT_GROUP,
  SHT_RELA,
]);
const PARA = '.parainstructions';

/**
 * Turns a linked patch module into a livepatch module: klp symbols and `.klp.rela.OBJECT.SECTION` for the records of
 * create-diff-object, `.klp.arch.OBJECT.SECTION` where they are asked for.
 * @throws KlpflowError `malformed-kpatch-object`, `name-limit`, `usage` (a struct size that is needed)
 */
export function klpModule(elf: ElfObject, options: KlpModuleOptions): ElfWriter {
  return new KlpModuleFile(new LinkedModule(elf), options).writer;
}

class KlpModuleFile {
  readonly writer: ElfWriter;
  private readonly elf: ElfObject;
  /** New section and symbol of each old one that stays. */
  private readonly sections = new Map<number, number>();
  private readonly symbols = new Map<number, number>();
  private readonly klpSymbols = new Map<string, number>();

  constructor(
    private readonly linked: LinkedModule,
    private readonly options: KlpModuleOptions,
  ) {
    const { elf } = linked;
    this.elf = elf;
    this.writer = new ElfWriter({ machine: elf.machine, little: elf.little, flags: elf.flags });
    const relocations = linked.relocations();
    const late = options.archSections ? linked.lateSections() : [];
    this.planSections();
    for (let symbol = 1; symbol < elf.symbolCount; symbol++) this.addSymbol(symbol);
    for (const section of this.sections.keys()) this.addSection(section);
    this.addKlpRelas(relocations);
    this.addLateSections(late);
  }

  /** Numbers the sections that stay, in their order. */
  private planSections(): void {
    const { elf } = this;
    for (let section = 1; section < elf.sectionCount; section++) {
      const type = elf.type(section);
      const base = type === SHT_RELA ? elf.info(section) : section;
      if (
        (OWN_TABLES.has(type) && type !== SHT_RELA) ||
        (base !== section && OWN_TABLES.has(elf.type(base))) ||
        this.isRemoved(base)
      )
        continue;
      this.sections.set(section, this.sections.size + 1);
    }
  }

  private isRemoved(section: SectionIndex): boolean {
    const name = this.elf.name(section);
    return CONSUMED.has(name) || (this.options.archSections && isAppliedLate(name));
  }

  private addSection(section: SectionIndex): void {
    const { elf, writer } = this;
    const type = elf.type(section);
    if (type === SHT_RELA) {
      writer.relas(
        this.sections.get(elf.info(section))!,
        relasOf(elf, section, (symbol) => this.handleOf(symbol)),
        { name: elf.name(section), flags: elf.sectionFlags(section) & ~SHF_GROUP },
      );
      return;
    }
    const flags = elf.sectionFlags(section) & ~SHF_GROUP;
    const link = (flags & SHF_LINK_ORDER) !== 0 ? (this.sections.get(elf.link(section)) ?? 0) : 0;
    const content = type === SHT_NOBITS ? { size: elf.size(section) } : { content: elf.content(section) };
    const align = elf.align(section) || 1;
    if (!Number.isInteger(Math.log2(align)))
      this.linked.malformed(`section ${elf.name(section)} is aligned to ${align} bytes, not a power of two`);
    writer.section({ name: elf.name(section), type, flags, align, entsize: elf.entsize(section), link, ...content });
  }

  private addSymbol(symbol: SymbolIndex): void {
    const { elf, linked } = this;
    const at = symbol * SYM_WORDS;
    const word = elf.symbols[at + ST_INFO]!;
    const section = linked.sectionOf(symbol);
    const type = word & 0xf;
    const kept = this.sections.get(section);
    // A symbol in a section that goes: nothing that stays refers to it.
    if (section !== 0 && kept === undefined) return;
    const index = word >>> 16;
    const where =
      section !== 0 ? { section: kept! } : index >= SHN_LORESERVE && index !== SHN_XINDEX ? { reserved: index } : {};
    const wide = (field: number): bigint =>
      (BigInt(elf.symbols[at + field + 1]!) << 32n) | BigInt(elf.symbols[at + field]!);
    this.symbols.set(
      symbol,
      this.writer.symbol({
        name: type === STT_SECTION ? '' : elf.symbolName(symbol),
        type,
        binding: (word >>> 4) & 0xf,
        other: (word >>> 8) & 0xff,
        value: wide(ST_VALUE),
        size: wide(ST_SIZE),
        ...where,
      }),
    );
  }

  private handleOf(symbol: SymbolIndex): number {
    return symbol === 0
      ? 0
      : (this.symbols.get(symbol) ??
          this.linked.malformed(
            `a relocation names symbol ${symbol} of ${this.elf.symbolCount}, which does not exist or whose section is removed`,
          ));
  }

  private addKlpRelas(relocations: ReturnType<LinkedModule['relocations']>): void {
    const groups = new Map<string, { base: number; object: string; relas: Rela[] }>();
    for (const { section, offset, type, addend, object, symbol } of relocations) {
      const base =
        this.sections.get(section) ??
        this.linked.malformed(`a klp relocation applies to ${this.elf.name(section)}, which is removed`);
      const key = `${base}\0${object}`;
      let group = groups.get(key);
      if (group === undefined) groups.set(key, (group = { base, object, relas: [] }));
      group.relas.push({ offset, type, symbol: this.klpSymbol(symbol), addend });
    }
    const names = new Map([...this.sections].map(([old, now]) => [now, this.elf.name(old)]));
    for (const { base, object, relas } of groups.values()) {
      this.writer.relas(base, relas, {
        name: klpRelaName(object, names.get(base)!),
        flags: SHF_RELA_LIVEPATCH | SHF_INFO_LINK | SHF_ALLOC,
      });
    }
  }

  private klpSymbol({
    owner,
    name,
    sympos,
    bind,
    type,
  }: ReturnType<LinkedModule['relocations']>[number]['symbol']): number {
    const full = klpSymbolName({ module: owner, name, sympos: Number(sympos) });
    if (full.length > LONGEST_KLP_SYMBOL)
      throw new KlpflowError(
        'name-limit',
        `${full.slice(0, 64)}... has ${full.length} characters, ${LONGEST_KLP_SYMBOL} is the most`,
        { object: this.elf.path, symbol: name },
      );
    let symbol = this.klpSymbols.get(full);
    if (symbol === undefined) {
      symbol = this.writer.symbol({ name: full, binding: bind, type, reserved: SHN_LIVEPATCH });
      this.klpSymbols.set(full, symbol);
    }
    return symbol;
  }

  /** Joins the sections of one name and object, entries of paravirt sites each at a multiple of their size. */
  private addLateSections(late: ReadonlyArray<{ section: SectionIndex; object: string }>): void {
    const joined = new Map<string, { parts: Uint8Array[]; size: number; relas: Rela[] }>();
    for (const { section, object } of late) {
      const name = this.elf.name(section);
      const key = klpArchName(object, name);
      let to = joined.get(key);
      if (to === undefined) joined.set(key, (to = { parts: [], size: 0, relas: [] }));
      if (name === PARA) {
        const gap = (this.paraSize() - (to.size % this.paraSize())) % this.paraSize();
        to.parts.push(new Uint8Array(gap));
        to.size += gap;
      }
      const relas = this.linked.relaSections.get(section);
      if (relas !== undefined)
        append(
          to.relas,
          relasOf(this.elf, relas, (symbol) => this.handleOf(symbol), to.size),
        );
      to.parts.push(this.elf.content(section));
      to.size += this.elf.content(section).length;
    }
    for (const [name, { parts, relas }] of joined) {
      const index = this.writer.section({
        name,
        type: SHT_PROGBITS,
        flags: SHF_ALLOC,
        align: 8,
        entsize: 1,
        content: Buffer.concat(parts),
      });
      this.writer.relas(index, relas);
    }
  }

  private paraSize(): number {
    const { paraSize } = this.options;
    if (paraSize === undefined)
      throw new KlpflowError(
        'usage',
        `${this.elf.path} has ${PARA}, and PARA_STRUCT_SIZE does not say how long an entry is`,
        { object: this.elf.path },
      );
    return paraSize;
  }
}
