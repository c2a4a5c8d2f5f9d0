import { archOf, type Arch } from '../../arch';
import type { ElfObject, Offset, SectionIndex } from '../../elf';
import { CALLBACKS, type KlpSymbol, type LivepatchObject } from '../object';
import type { Content } from './content';
import type { RecordedFacts } from './facts';
import {
  CALLBACK_FIELDS,
  FUNCS,
  IMPORT_NS,
  KLP_RELOCS,
  OBJECTS,
  STRINGS,
  klpRelocsName,
  klpSymbolName,
  tombstoneName,
} from './layout';
import type { RelaRow } from './rows';

/** The tables that klp-build's tools read, taken back into a LivepatchObject. */
export class Descriptors {
  private readonly klpSymbols: ReadonlyMap<string, KlpSymbol>;
  private readonly arch: Arch;

  constructor(
    private readonly elf: ElfObject,
    private readonly object: LivepatchObject,
    private readonly recorded: RecordedFacts,
    private readonly content: Content,
    private readonly relas: ReadonlyMap<number, readonly RelaRow[]>,
  ) {
    this.arch = archOf(elf.machine, elf.path);
    this.klpSymbols = new Map(recorded.klpSymbols.map((symbol) => [klpSymbolName(symbol), object.klpSymbol(symbol)]));
  }

  /** Every record of one `__klp_relocs` section. @throws KlpflowError `malformed-elf` */
  readKlpRelocs(section: SectionIndex): void {
    const { elf, content } = this;
    const pointers = this.pointers(section);
    for (const at of this.records(section, KLP_RELOCS.entsize)) {
      const where = this.need(section, pointers, at + KLP_RELOCS.whereField, 'names no place');
      const what = this.need(section, pointers, at + KLP_RELOCS.whatField, 'names no symbol');
      const type = this.view(section).getUint32(at + KLP_RELOCS.typeField, true);
      const place = content.sectionSymbolOf(where);
      const into = place === undefined ? undefined : content.section(place);
      const target = this.klpSymbols.get(content.klpSymbolOf(what) ?? '');
      if (place === undefined || into === undefined)
        return elf.malformed(where.at, 'the place of a klp relocation is not given by a section of code or data');
      if (target === undefined)
        return elf.malformed(what.at, 'a klp relocation names a symbol that the recorded facts do not know');
      if (klpRelocsName(this.object.name, target, elf.name(place)) !== elf.name(section))
        elf.malformed(
          where.at,
          `a klp relocation against ${klpSymbolName(target)} does not belong to ${elf.name(section)}`,
        );
      const stone = content.takeTombstone(place, where.addend);
      if (
        stone === undefined ||
        stone.name !== tombstoneName(target) ||
        stone.type !== type ||
        stone.addend !== what.addend
      ) {
        return elf.malformed(
          where.at,
          `no ordinary relocation at ${elf.name(place)}+${where.addend} stands for the klp relocation against ${klpSymbolName(target)}`,
        );
      }
      this.object.klpRelas.push({ section: into, offset: where.addend, type, target, addend: what.addend });
    }
  }

  /** The one record of `.init.klp_objects` and the functions that it counts. @throws KlpflowError `malformed-elf` */
  readObject(objects: number, funcs: number, strings: number): void {
    const { elf, object, content } = this;
    const pointers = this.pointers(objects);
    const start = elf.offset(objects);
    if (elf.size(objects) !== OBJECTS.entsize)
      elf.malformed(start, `${OBJECTS.name} holds ${elf.size(objects)} bytes, not one record of ${OBJECTS.entsize}`);
    const name = pointers.get(OBJECTS.nameField);
    const named = name === undefined ? 'vmlinux' : this.string(name, strings);
    if (named !== object.name)
      elf.malformed(start, `the object is called ${named}, but ${object.name} by the recorded facts`);
    const list = this.need(objects, pointers, OBJECTS.funcsField, 'names no functions');
    if (content.sectionSymbolOf(list) !== funcs || list.addend !== 0)
      elf.malformed(list.at, `the object's functions are not ${FUNCS.name}`);
    for (const callback of CALLBACKS) {
      const pointer = pointers.get(CALLBACK_FIELDS[callback]);
      if (pointer === undefined) continue;
      const symbol = content.symbolOf(pointer);
      if (symbol === undefined || pointer.addend !== 0)
        return elf.malformed(pointer.at, `the callback ${callback} is no symbol of the livepatch`);
      object.callbacks[callback] = symbol;
    }
    this.readFuncs(funcs, strings);
    const count = this.view(objects).getUint32(OBJECTS.countField, true);
    if (count !== object.funcs.length || count !== this.recorded.funcs.length)
      elf.malformed(
        start,
        `${count} functions are counted, ${object.funcs.length} listed and ${this.recorded.funcs.length} recorded`,
      );
  }

  /** `import_ns=NAMESPACE` strings. @throws KlpflowError `malformed-elf` */
  readModinfo(section: SectionIndex): void {
    const { elf } = this;
    const end = elf.offset(section) + elf.size(section);
    if (elf.size(section) > 0 && elf.bytes[end - 1] !== 0) elf.malformed(end, 'the last string of .modinfo has no end');
    for (let at = elf.offset(section); at < end; ) {
      const text = elf.text(at, end);
      if (!text.startsWith(IMPORT_NS)) elf.malformed(at, `.modinfo holds "${text}" where ${IMPORT_NS} is expected`);
      this.object.importNs.push(text.slice(IMPORT_NS.length));
      at += Buffer.byteLength(text) + 1;
    }
  }

  private readFuncs(section: SectionIndex, strings: number): void {
    const pointers = this.pointers(section);
    for (const at of this.records(section, FUNCS.entsize)) {
      const oldName = this.string(this.need(section, pointers, at + FUNCS.nameField, 'has no name'), strings);
      const pointer = this.need(section, pointers, at + FUNCS.functionField, 'has no replacement');
      const replacement = this.content.symbolOf(pointer);
      if (replacement === undefined || pointer.addend !== 0)
        return this.elf.malformed(pointer.at, `the replacement of ${oldName} is no function of the livepatch`);
      const sympos = Number(this.view(section).getBigUint64(at + FUNCS.symposField, true));
      this.object.funcs.push({ oldName, sympos, evidence: this.recorded.funcs[at / FUNCS.entsize] ?? '', replacement });
    }
  }

  /** Where each record of a table starts. */
  private *records(section: SectionIndex, entsize: number): Generator<number> {
    const size = this.elf.size(section);
    if (size % entsize !== 0)
      this.elf.malformed(
        this.elf.offset(section),
        `${this.elf.name(section)} holds ${size} bytes, not records of ${entsize}`,
      );
    for (let at = 0; at < size; at += entsize) yield at;
  }

  /** A table's relocations, all of them pointers, by place. */
  private pointers(section: SectionIndex): Map<number, RelaRow> {
    const rows = this.relas.get(section) ?? [];
    for (const { type, at } of rows)
      if (type !== this.arch.address64)
        this.elf.malformed(
          at,
          `a relocation of ${this.elf.name(section)} is of type ${type}, not ${this.arch.relocationName(this.arch.address64)}`,
        );
    const pointers = new Map(rows.map((row) => [row.offset, row]));
    if (pointers.size < rows.length)
      this.elf.malformed(this.elf.offset(section), `two relocations of ${this.elf.name(section)} stand at one place`);
    return pointers;
  }

  private need(
    section: SectionIndex,
    pointers: ReadonlyMap<number, RelaRow>,
    offset: Offset,
    otherwise: string,
  ): RelaRow {
    return (
      pointers.get(offset) ??
      this.elf.malformed(this.elf.offset(section) + offset, `a record of ${this.elf.name(section)} ${otherwise}`)
    );
  }

  private string(row: RelaRow, strings: number): string {
    const { elf } = this;
    const start = elf.offset(strings);
    const end = start + elf.size(strings);
    if (
      this.content.sectionSymbolOf(row) !== strings ||
      row.addend < 0 ||
      row.addend >= end - start ||
      elf.bytes[end - 1] !== 0
    )
      elf.malformed(row.at, `a name does not point into ${STRINGS}`);
    return elf.text(start + row.addend, end);
  }

  private view(section: SectionIndex): DataView {
    const { elf } = this;
    return new DataView(elf.bytes.buffer, elf.bytes.byteOffset + elf.offset(section), elf.size(section));
  }
}
