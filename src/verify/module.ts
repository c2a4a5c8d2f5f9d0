import {
  ElfObject,
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  R_X86_64_NONE,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_RELA_LIVEPATCH,
  SHN_LORESERVE,
  SHN_UNDEF,
  SHN_XINDEX,
  SHT_NOBITS,
  SHT_RELA,
  STT_SECTION,
  ST_INFO,
  ST_SIZE,
  ST_VALUE,
  SYM_WORDS,
  s64,
  u64,
} from '../elf';
import { KlpflowError } from '../diagnostics';
import { machineOf, type Machine } from './machine';
import { PlacedSymbols, type ModuleSymbol } from './symbols';

export { isFunction, isPrefixName, type ModuleSymbol } from './symbols';

export interface ModuleSection {
  index: number;
  name: string;
  type: number;
  flags: number;
  align: number;
  entsize: number;
  link: number;
  info: number;
  /** Bytes in memory. */
  size: number;
  /** Empty for NOBITS. */
  bytes: Uint8Array;
}

export interface ModuleRela {
  /** The section it applies to. */
  section: ModuleSection;
  /** Bytes from that section's start; not yet known to lie in it. */
  offset: number;
  type: number;
  symbol: ModuleSymbol;
  addend: number;
  /** The `.klp.rela.*` section that holds it, null for those that the module loader applies. */
  livepatch: ModuleSection | null;
}

/** A kernel module's sections, symbols and relocations as objects: a module is small. */
export class Module {
  readonly machine: Machine;
  readonly sections: ModuleSection[] = [];
  readonly symbols: ModuleSymbol[] = [];
  /** All relocations of loaded sections that do something, ordered by section and offset. */
  readonly relas: ModuleRela[] = [];
  /** Places of those of type NONE, which only say what once was there, by `section:offset`. */
  private readonly inert = new Set<string>();
  private readonly relasBySection = new Map<number, ModuleRela[]>();
  private readonly symbolsBySection = new Map<number, PlacedSymbols>();

  /** @throws KlpflowError for every file that is not a well-formed ELF64 relocatable object */
  static open(path: string): Module {
    return new Module(ElfObject.open(path));
  }

  /** @throws KlpflowError `unsupported-object` for a processor whose modules are not verified */
  constructor(readonly elf: ElfObject) {
    checkIsModule(elf);
    const machine = elf.little ? machineOf(elf.machine) : undefined;
    if (machine === undefined)
      throw new KlpflowError(
        'unsupported-object',
        `${elf.path} is not a module for x86-64 or arm64, others are not verified`,
        {
          object: elf.path,
        },
      );
    this.machine = machine;
    this.readSections();
    this.readSymbols();
    for (const section of this.sections) if (section.type === SHT_RELA) this.readRelas(section);
    for (const relas of this.relasBySection.values()) relas.sort((a, b) => a.offset - b.offset);
    for (const [, relas] of [...this.relasBySection].sort(([a], [b]) => a - b))
      for (const rela of relas) this.relas.push(rela);
  }

  get path(): string {
    return this.elf.path;
  }

  /** The only section of this name, or the first one. */
  section(name: string): ModuleSection | undefined {
    return this.sections.find((section) => section.name === name);
  }

  sectionOf(symbol: ModuleSymbol): ModuleSection | undefined {
    return symbol.section === SHN_UNDEF || symbol.section >= SHN_LORESERVE ? undefined : this.sections[symbol.section];
  }

  symbol(name: string): ModuleSymbol | undefined {
    return this.symbols.find((symbol) => symbol.name === name && symbol.type !== STT_SECTION);
  }

  /** Relocations that apply to a section, by offset. */
  relasOf(section: ModuleSection): readonly ModuleRela[] {
    return this.relasBySection.get(section.index) ?? [];
  }

  relaAt(section: ModuleSection, offset: number): ModuleRela | undefined {
    return this.relasIn(section, offset, offset + 1)[0];
  }

  /** Whether a relocation of type NONE stands in [start, end): objtool leaves one where it made a call of __fentry__ a NOP. */
  wasRelocated({ index }: ModuleSection, start: number, end: number): boolean {
    for (let offset = start; offset < end; offset++) if (this.inert.has(`${index}:${offset}`)) return true;
    return false;
  }

  /** Relocations whose offset lies in [start, end). */
  relasIn(section: ModuleSection, start: number, end: number): ModuleRela[] {
    const relas = this.relasOf(section);
    let low = 0;
    for (let high = relas.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (relas[middle]!.offset < start) low = middle + 1;
      else high = middle;
    }
    let stop = low;
    while (stop < relas.length && relas[stop]!.offset < end) stop++;
    return relas.slice(low, stop);
  }

  /** Named symbols of a section by value, the larger first. */
  symbolsIn({ index }: ModuleSection): readonly ModuleSymbol[] {
    return this.placed(index).symbols;
  }

  functionsIn({ index }: ModuleSection): readonly ModuleSymbol[] {
    return this.placed(index).functions;
  }

  /** Named symbols that start at an offset. */
  symbolsAt({ index }: ModuleSection, offset: number): ModuleSymbol[] {
    return this.placed(index).at(offset);
  }

  /** Sized symbols that an offset lies in. */
  covering({ index }: ModuleSection, offset: number): ModuleSymbol[] {
    return this.placed(index).covering(offset);
  }

  /** Strings `key=value` of `.modinfo`, in order. */
  modinfo(): Array<{ key: string; value: string }> {
    const section = this.section('.modinfo');
    if (section === undefined) return [];
    const entries = Buffer.from(section.bytes)
      .toString('utf8')
      .split('\0')
      .filter((entry) => entry !== '');
    return entries.map((entry) => {
      const equals = entry.indexOf('=');
      return equals < 0 ? { key: entry, value: '' } : { key: entry.slice(0, equals), value: entry.slice(equals + 1) };
    });
  }

  private readSections(): void {
    const { elf } = this;
    let bytes = 0;
    for (let index = 0; index < elf.sectionCount; index++) {
      const section: ModuleSection = {
        index,
        name: index === 0 ? '' : elf.name(index),
        type: elf.type(index),
        flags: elf.sectionFlags(index),
        align: elf.align(index),
        entsize: elf.entsize(index),
        link: elf.link(index),
        info: elf.info(index),
        size: index === 0 ? 0 : elf.size(index),
        bytes: index === 0 ? new Uint8Array(0) : elf.content(index),
      };
      this.sections.push(section);
      if (section.type !== SHT_NOBITS) bytes += section.size;
    }
    // Without this, a small file could claim its own bytes thousands of times over.
    if (bytes > elf.bytes.length)
      elf.malformed(40, `sections overlap: they have ${bytes} bytes in a file of ${elf.bytes.length}`);
  }

  private readSymbols(): void {
    const { elf } = this;
    const { symbols } = elf;
    const bySection = new Map<number, ModuleSymbol[]>();
    for (let index = 0, at = 0; index < elf.symbolCount; index++, at += SYM_WORDS) {
      const info = symbols[at + ST_INFO]!;
      const plain = info >>> 16;
      const section = plain === SHN_XINDEX ? (elf.extendedIndex[index] ?? 0) : plain;
      if ((plain < SHN_LORESERVE || plain === SHN_XINDEX) && section >= elf.sectionCount)
        elf.malformed(
          elf.offset(elf.symtabSection) + index * 24,
          `symbol ${index} is defined in section ${section} of ${elf.sectionCount}`,
        );
      const symbol: ModuleSymbol = {
        index,
        name: elf.symbolName(index),
        type: info & 0xf,
        binding: (info >>> 4) & 0xf,
        section,
        value: u64(symbols, at + ST_VALUE),
        size: u64(symbols, at + ST_SIZE),
      };
      this.symbols.push(symbol);
      if (symbol.name === '' || symbol.type === STT_SECTION || section === SHN_UNDEF || section >= SHN_LORESERVE)
        continue;
      const known = bySection.get(section);
      if (known === undefined) bySection.set(section, [symbol]);
      else known.push(symbol);
    }
    for (const [section, list] of bySection) this.symbolsBySection.set(section, new PlacedSymbols(list));
  }

  private placed(section: number): PlacedSymbols {
    return this.symbolsBySection.get(section) ?? PlacedSymbols.NONE;
  }

  private readRelas(from: ModuleSection): void {
    const { elf } = this;
    const section = this.sections[from.info]!;
    // The loader passes over relocations of sections that are not loaded.
    if ((section.flags & SHF_ALLOC) === 0) return;
    const words = elf.relas(from.index);
    const list = this.relasBySection.get(section.index) ?? [];
    this.relasBySection.set(section.index, list);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      if (words[at + R_TYPE] === R_X86_64_NONE) {
        this.inert.add(`${section.index}:${u64(words, at + R_OFFSET)}`);
        continue;
      }
      const symbol = this.symbols[words[at + R_SYM]!];
      if (symbol === undefined)
        return elf.malformed(
          elf.offset(from.index) + at * 4,
          `${from.name}: a relocation names symbol ${words[at + R_SYM]} of ${this.symbols.length}`,
        );
      list.push({
        section,
        offset: u64(words, at + R_OFFSET),
        type: words[at + R_TYPE]!,
        symbol,
        addend: s64(words, at + R_ADDEND),
        livepatch: (from.flags & SHF_RELA_LIVEPATCH) !== 0 ? from : null,
      });
    }
  }
}

export function isExecutable({ flags, type }: ModuleSection): boolean {
  return (flags & SHF_ALLOC) !== 0 && (flags & SHF_EXECINSTR) !== 0 && type !== SHT_NOBITS;
}

/** Bytes from a section's start. */
export interface Spot {
  section: ModuleSection;
  offset: number;
}

/**
 * What is no module at all is told before anything is read of it: vmlinux.o has a million relocations. A module that merely lacks its struct module is read, and that is one of its findings.
 * @throws KlpflowError `not-a-livepatch`
 */
function checkIsModule(elf: ElfObject): void {
  const has = (name: string): boolean => elf.sectionsNamed(name).length > 0;
  if (has('.gnu.linkonce.this_module') || has('__versions')) return;
  // What kpatch's create-klp-module writes before the module is linked around it.
  for (let section = 1; section < elf.sectionCount; section++)
    if ((elf.sectionFlags(section) & SHF_RELA_LIVEPATCH) !== 0) return;
  const modinfo = elf.sectionsNamed('.modinfo').map((section) => Buffer.from(elf.content(section)).toString('latin1'));
  // What is built in writes `ext4.license=GPL` there, a module `license=GPL`; vmlinux.o of 7.2 has no .head.text to tell it by.
  if (modinfo.some((text) => /(?:^|\0)(?:name|license|vermagic|livepatch)=/.test(text))) return;
  const isKernel = modinfo.length > 0;
  throw new KlpflowError(
    'not-a-livepatch',
    `${elf.path} is ${isKernel ? 'the vmlinux.o of a kernel build, or a unit that is built in' : "an object of a build (a unit's, or a livepatch object before it is linked)"}, no module: it has no .gnu.linkonce.this_module`,
    { object: elf.path },
  );
}
