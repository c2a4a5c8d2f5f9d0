import { archOf } from '../../arch';
import {
  SHF_ALLOC,
  SHF_LINK_ORDER,
  SHF_WRITE,
  SHN_ABS,
  SHT_NOBITS,
  STT_SECTION,
  type Offset,
  type SymbolIndex,
} from '../../elf';
import { setU64 } from '../../elf/encode';
import { ElfWriter, type Rela } from '../../elf/writer';
import type { KlpRela, OutputSection, OutputSymbol } from '../object';
import { ARCH, CALLBACK, FUNCS, RELOCATIONS, STRINGS, SYMBOLS, isAppliedLate } from './layout';
import type { KpatchObject } from './object';
import { Strings } from './strings';

/** The object that create-diff-object would leave, ready to be written. */
export function writeKpatchObject(object: KpatchObject): ElfWriter {
  return new KpatchObjectFile(object).writer;
}

/** One object on its way into a file. */
class KpatchObjectFile {
  readonly writer: ElfWriter;
  private readonly strings = new Strings();
  private readonly sections = new Map<OutputSection, number>();
  private readonly symbols = new Map<OutputSymbol, number>();
  private readonly parent: string;
  private readonly pointer: number;
  private stringSymbol = 0;
  /** Fields for the object's name in records of callbacks, with the relas of their section. */
  private readonly callbackNames: Array<{ relas: Rela[]; offset: Offset }> = [];

  constructor(private readonly kpatch: KpatchObject) {
    const { object, little, flags } = kpatch;
    this.parent = object.name;
    this.pointer = archOf(object.machine, object.name).address64;
    this.writer = new ElfWriter({ machine: object.machine, little, flags });
    // The parent's name is the first string.
    this.strings.add(this.parent);
    const kept = object.sections.filter(({ use }) => use !== 'build');
    for (const section of kept) this.sections.set(section, this.addSection(section));
    for (const symbol of object.symbols) this.symbols.set(symbol, this.addSymbol(symbol));
    for (const section of kept) this.addRelas(section);
    if (kpatch.namespaces.length > 0) {
      const content = Buffer.from(kpatch.namespaces.map((text) => `${text}\0`).join(''), 'latin1');
      this.writer.section({ name: '.modinfo', flags: SHF_ALLOC, align: 8, entsize: content.length, content });
    }
    const strings = this.writer.section({ name: STRINGS, flags: SHF_ALLOC, entsize: 1, content: this.strings });
    this.stringSymbol = this.writer.sectionSymbol(strings);
    for (const { relas, offset } of this.callbackNames) relas.push(this.string(offset, this.parent));
    this.addFuncs();
    this.addKlpRelocations();
    if (kpatch.klpArch) this.addArch();
    this.addSites();
  }

  private addSection({ name, type, flags, entsize, align, size, bytes }: OutputSection): number {
    return this.writer.section({
      name,
      type,
      flags,
      entsize,
      align,
      ...(type === SHT_NOBITS ? { size } : { content: bytes }),
    });
  }

  private addSymbol({ name, info, section, value, size, other = 0 }: OutputSymbol): number {
    if ((info & 0xf) === STT_SECTION) return this.writer.sectionSymbol(this.sections.get(section as OutputSection)!);
    // R_PPC64_ENTRY names no symbol.
    if (section === 'undefined' && name === '') return 0;
    const where =
      section === 'undefined'
        ? {}
        : section === 'absolute'
          ? { reserved: SHN_ABS }
          : { section: this.sections.get(section)! };
    // Of a function elsewhere nothing but its name holds here.
    return this.writer.symbol({
      name,
      type: info & 0xf,
      binding: info >> 4,
      value,
      size,
      other: section === 'undefined' ? 0 : other,
      ...where,
    });
  }

  /** The relas of a section, which are written at the end: callbacks get one more. */
  private addRelas(section: OutputSection): void {
    const relas: Rela[] = section.relas.map(({ offset, type, symbol, addend }) => ({
      offset,
      type,
      symbol: this.symbols.get(symbol)!,
      addend,
    }));
    if (this.kpatch.callbacks.includes(section))
      for (let at = 0; at < section.size; at += CALLBACK.entsize)
        this.callbackNames.push({ relas, offset: at + CALLBACK.object });
    if (relas.length > 0) this.writer.relas(this.sections.get(section)!, relas);
  }

  private addFuncs(): void {
    const { object, functions } = this.kpatch;
    const content = new Uint8Array(object.funcs.length * FUNCS.entsize);
    const relas = object.funcs.flatMap((func, i) => {
      const at = i * FUNCS.entsize;
      const old = functions.get(func)!;
      this.store(content, at + FUNCS.newSize, func.replacement.size);
      this.store(content, at + FUNCS.oldAddress, old.address);
      this.store(content, at + FUNCS.oldSize, old.size);
      this.store(content, at + FUNCS.sympos, func.sympos);
      return [
        this.refer(at + FUNCS.newAddress, this.symbols.get(func.replacement)!, 0),
        this.string(at + FUNCS.symbolName, func.oldName),
        this.string(at + FUNCS.object, this.parent),
      ];
    });
    this.table(FUNCS, content, relas);
  }

  private addKlpRelocations(): void {
    const { object, symbols } = this.kpatch;
    const order = new Map(object.sections.map((section, i) => [section, i]));
    const klp = [...object.klpRelas].sort(
      (a, b) => order.get(a.section)! - order.get(b.section)! || a.offset - b.offset,
    );
    const relocations = new Uint8Array(klp.length * RELOCATIONS.entsize);
    const targets = new Uint8Array(klp.length * SYMBOLS.entsize);
    const relocationRelas: Rela[] = [];
    const targetRelas: Rela[] = [];
    // The table of relocations comes first and refers to the other one.
    const references: Array<{ offset: Offset; addend: number }> = [];
    klp.forEach(({ section, offset, type, target, addend }: KlpRela, i) => {
      const at = i * SYMBOLS.entsize;
      const { address, exported } = symbols.get(target) ?? { address: 0n, exported: false };
      if (this.parent === 'vmlinux') this.store(targets, at + SYMBOLS.address, address);
      this.store(targets, at + SYMBOLS.sympos, target.sympos);
      targets[at + SYMBOLS.bind] = target.info >>> 4;
      targets[at + SYMBOLS.type] = target.info & 0xf;
      targetRelas.push(
        this.string(at + SYMBOLS.symbolName, target.name),
        this.string(at + SYMBOLS.object, target.module),
      );

      const to = i * RELOCATIONS.entsize;
      this.store32(relocations, to + RELOCATIONS.type, type);
      this.store32(relocations, to + RELOCATIONS.external, this.parent !== 'vmlinux' && exported ? 1 : 0);
      this.store(relocations, to + RELOCATIONS.addend, addend);
      relocationRelas.push(
        this.refer(to + RELOCATIONS.dest, this.writer.sectionSymbol(this.sections.get(section)!), offset),
        this.string(to + RELOCATIONS.object, this.parent),
      );
      references.push({ offset: to + RELOCATIONS.symbol, addend: at });
    });
    this.table(RELOCATIONS, relocations, relocationRelas);
    const index = this.table(SYMBOLS, targets, targetRelas);
    const start = this.writer.sectionSymbol(index);
    for (const { offset, addend } of references) relocationRelas.push(this.refer(offset, start, addend));
    relocationRelas.sort((a, b) => a.offset - b.offset);
  }

  private addArch(): void {
    const late = [...this.sections].filter(([{ name }]) => isAppliedLate(name));
    const content = new Uint8Array(late.length * ARCH.entsize);
    this.table(
      ARCH,
      content,
      late.flatMap(([, index], i) => [
        this.refer(i * ARCH.entsize + ARCH.section, this.writer.sectionSymbol(index), 0),
        this.string(i * ARCH.entsize + ARCH.object, this.parent),
      ]),
    );
  }

  private addSites(): void {
    const { sites, patchable } = this.kpatch;
    if (patchable === null) {
      const relas = sites.map(({ symbol, offset }, i) => this.refer(i * 8, this.symbols.get(symbol)!, offset));
      this.table({ name: '__mcount_loc', entsize: 8 }, new Uint8Array(sites.length * 8), relas);
      return;
    }
    const flags = SHF_WRITE | SHF_ALLOC | (patchable.linkOrder ? SHF_LINK_ORDER : 0);
    for (const { symbol, offset } of sites) {
      const code = this.sections.get(symbol.section as OutputSection)!;
      const index = this.writer.section({
        name: '__patchable_function_entries',
        flags,
        align: 8,
        entsize: 8,
        link: patchable.linkOrder ? code : 0,
        content: new Uint8Array(8),
      });
      this.writer.relas(index, [this.refer(0, this.writer.sectionSymbol(code), symbol.value + offset)]);
    }
  }

  /** A table and its relocations; both are there even if they are empty. */
  private table(
    { name, entsize }: { name: string; entsize: number },
    content: Uint8Array,
    relas: readonly Rela[],
  ): number {
    const index = this.writer.section({ name, flags: SHF_ALLOC, align: 8, entsize, content });
    this.writer.relas(index, relas);
    return index;
  }

  private string(offset: Offset, text: string): Rela {
    return this.refer(offset, this.stringSymbol, this.strings.add(text));
  }

  private refer(offset: Offset, symbol: SymbolIndex, addend: number): Rela {
    return { offset, type: this.pointer, symbol, addend };
  }

  private store(content: Uint8Array, at: number, value: number | bigint): void {
    setU64(new DataView(content.buffer, content.byteOffset), at, value, this.kpatch.little);
  }

  private store32(content: Uint8Array, at: number, value: number): void {
    new DataView(content.buffer, content.byteOffset).setUint32(at, value, this.kpatch.little);
  }
}
