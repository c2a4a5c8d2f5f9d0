import { archOf, modulesOf } from '../../arch';
import {
  SHF_ALLOC,
  SHF_MERGE,
  SHF_STRINGS,
  SHN_ABS,
  SHT_NOBITS,
  STB_WEAK,
  STT_SECTION,
  type Offset,
  type SymbolIndex,
} from '../../elf';
import { ElfWriter, type Rela } from '../../elf/writer';
import {
  CALLBACKS,
  type KlpRela,
  type KlpSymbol,
  type LivepatchObject,
  type OutputSection,
  type OutputSymbol,
} from '../object';
import { encodeFacts } from './facts';
import {
  CALLBACK_FIELDS,
  FACTS,
  FUNCS,
  IMPORT_NS,
  KLP_RELOCS,
  MODINFO,
  OBJECTS,
  STRINGS,
  fileName,
  klpRelocsName,
  klpSymbolName,
  tombstoneName,
} from './layout';

/**
 * The object that `objtool klp diff` would hand to klp-build, ready to be written.
 *
 * Section names stay as they were cloned (`.text.F`): the linker script of modules merges them. Sections for the loaded
 * module alone go along under names that klp-build's tools pass over, so that `readKlpObject` gives the same object back.
 * Of a processor that klp-build does not know it is for `link` alone.
 * @throws KlpflowError `unsupported-object` for one of which no modules are made
 */
export function writeKlpObject(object: LivepatchObject): ElfWriter {
  modulesOf(object.machine, object.name);
  return new KlpObjectFile(object).writer;
}

/** One object on its way into a file: which index each section got, and which handle each symbol. */
class KlpObjectFile {
  readonly writer: ElfWriter;
  private readonly sections = new Map<OutputSection, number>();
  private readonly symbols = new Map<OutputSymbol, number>();
  private readonly weak = new Map<string, number>();
  /** The relocation of a pointer. */
  private readonly address64: number;

  constructor(private readonly object: LivepatchObject) {
    this.writer = new ElfWriter({ machine: object.machine });
    this.address64 = archOf(object.machine, object.name).address64;
    for (const section of object.sections) this.sections.set(section, this.addSection(section));
    for (const symbol of object.symbols) this.symbols.set(symbol, this.addSymbol(symbol));
    this.relocate();
    this.addKlpRelocs();
    this.addDescriptors();
    this.addModinfo();
    this.writer.section({ name: FACTS, content: encodeFacts(object) });
  }

  private addSection(section: OutputSection): number {
    const { type, flags, entsize, align } = section;
    const content = type === SHT_NOBITS ? { size: section.size } : { content: section.bytes };
    return this.writer.section({ name: fileName(section), type, flags, entsize, align, ...content });
  }

  private addSymbol({ name, info, section, value, size }: OutputSymbol): number {
    if ((info & 0xf) === STT_SECTION) return this.writer.sectionSymbol(this.sections.get(section as OutputSection)!);
    const where =
      section === 'undefined'
        ? {}
        : section === 'absolute'
          ? { reserved: SHN_ABS }
          : { section: this.sections.get(section)! };
    return this.writer.symbol({ name, type: info & 0xf, binding: info >> 4, value, size, ...where });
  }

  /** A weak undefined symbol, one of each name: nothing defines it, and no linker or modpost asks for that. */
  private weakSymbol(name: string, info: number): number {
    let symbol = this.weak.get(name);
    if (symbol === undefined) {
      symbol = this.writer.symbol({ name, binding: STB_WEAK, type: info & 0xf });
      this.weak.set(name, symbol);
    }
    return symbol;
  }

  /** Ordinary relocations, those against tombstones behind the others. */
  private relocate(): void {
    const tombstones = groupBy(this.object.klpRelas, ({ section }) => section);
    for (const section of this.object.sections) {
      const relas: Rela[] = section.relas.map(({ offset, type, symbol, addend }) => ({
        offset,
        type,
        symbol: this.symbols.get(symbol)!,
        addend,
      }));
      for (const { offset, type, target, addend } of tombstones.get(section) ?? []) {
        relas.push({ offset, type, symbol: this.weakSymbol(tombstoneName(target), target.info), addend });
      }
      if (relas.length > 0) this.writer.relas(this.sections.get(section)!, relas);
    }
  }

  private addKlpRelocs(): void {
    const { object } = this;
    const groups = groupBy(object.klpRelas, ({ section, target }) =>
      klpRelocsName(object.name, target, fileName(section)),
    );
    for (const [name, entries] of groups) this.addKlpRelocSection(name, entries);
  }

  private addKlpRelocSection(name: string, entries: readonly KlpRela[]): void {
    const content = new Uint8Array(entries.length * KLP_RELOCS.entsize);
    const view = new DataView(content.buffer);
    const relas = entries.flatMap(({ section, offset, type, target, addend }, i) => {
      const at = i * KLP_RELOCS.entsize;
      view.setUint32(at + KLP_RELOCS.typeField, type, true);
      return [
        this.pointer(at + KLP_RELOCS.whereField, this.writer.sectionSymbol(this.sections.get(section)!), offset),
        this.pointer(at + KLP_RELOCS.whatField, this.klpSymbol(target), addend),
      ];
    });
    const index = this.writer.section({ name, flags: SHF_ALLOC, align: 8, content });
    this.writer.relas(index, relas);
  }

  private klpSymbol(symbol: KlpSymbol): number {
    return this.weakSymbol(klpSymbolName(symbol), symbol.info);
  }

  private addDescriptors(): void {
    const { writer, object } = this;
    const strings = new Names();
    const objects = new Uint8Array(OBJECTS.entsize);
    const funcs = new Uint8Array(object.funcs.length * FUNCS.entsize);
    const [objectsIndex, funcsIndex, stringsIndex] = [
      writer.section({ name: OBJECTS.name, flags: SHF_ALLOC, entsize: OBJECTS.entsize, content: objects }),
      writer.section({ name: FUNCS.name, flags: SHF_ALLOC, entsize: FUNCS.entsize, content: funcs }),
      writer.section({ name: STRINGS, flags: SHF_ALLOC | SHF_MERGE | SHF_STRINGS, content: strings }),
    ];
    const names = writer.sectionSymbol(stringsIndex);

    const objectRelas: Rela[] = [];
    // vmlinux is the object without a name.
    if (object.name !== 'vmlinux') objectRelas.push(this.pointer(OBJECTS.nameField, names, strings.add(object.name)));
    objectRelas.push(this.pointer(OBJECTS.funcsField, writer.sectionSymbol(funcsIndex), 0));
    for (const callback of CALLBACKS) {
      const symbol = object.callbacks[callback];
      if (symbol !== undefined) objectRelas.push(this.pointer(CALLBACK_FIELDS[callback], this.symbols.get(symbol)!, 0));
    }
    new DataView(objects.buffer).setUint32(OBJECTS.countField, object.funcs.length, true);
    writer.relas(objectsIndex, objectRelas);

    const view = new DataView(funcs.buffer);
    const funcRelas = object.funcs.flatMap(({ oldName, sympos, replacement }, i) => {
      const at = i * FUNCS.entsize;
      view.setBigUint64(at + FUNCS.symposField, BigInt(sympos), true);
      return [
        this.pointer(at + FUNCS.nameField, names, strings.add(oldName)),
        this.pointer(at + FUNCS.functionField, this.symbols.get(replacement)!, 0),
      ];
    });
    if (funcRelas.length > 0) writer.relas(funcsIndex, funcRelas);
  }

  private pointer(offset: Offset, symbol: SymbolIndex, addend: number): Rela {
    return { offset, type: this.address64, symbol, addend };
  }

  private addModinfo(): void {
    const { importNs } = this.object;
    if (importNs.length === 0) return;
    const content = new TextEncoder().encode(importNs.map((namespace) => `${IMPORT_NS}${namespace}\0`).join(''));
    this.writer.section({ name: MODINFO, flags: SHF_ALLOC, content });
  }
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** The names in STRINGS: an empty one, then those that were added. */
class Names {
  private readonly parts: Uint8Array[] = [Uint8Array.of(0)];
  size = 1;

  /** Where the name starts. */
  add(name: string): number {
    const start = this.size;
    const bytes = new TextEncoder().encode(`${name}\0`);
    this.parts.push(bytes);
    this.size += bytes.length;
    return start;
  }

  chunks(): Iterable<Uint8Array> {
    return this.parts;
  }
}
