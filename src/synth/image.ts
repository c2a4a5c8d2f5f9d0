import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHN_ABS,
  SHT_NOBITS,
  STB_GLOBAL,
  STB_LOCAL,
  STT_FILE,
  STT_FUNC,
  STT_OBJECT,
  STV_DEFAULT,
  STV_HIDDEN,
} from '../elf/constants';
import { ElfWriter, type Rela } from '../elf/writer';
import type { Build } from './build';
import { Column } from './columns';
import type { EncodedFunction } from './encoded';
import type { SynthFunction, SynthObject, Unit } from './model';
import { promotedSuffix } from './names';
import { Places, type SynthPlace } from './places';
import { addPlatform } from './platform';
import { Random } from './random';
import { SharedData, objectBytes, objectRelas } from './shared-data';
import { PatchableEntries } from './patchable-entries';
import { HeldText, MadeText, type SharedText } from './shared-text';
import { keyName } from './static-calls';
import { KernelTables, TableSection } from './tables';
import { INITCALLS } from './traits';

const AX = SHF_ALLOC | SHF_EXECINSTR;
const WA = SHF_ALLOC | SHF_WRITE;

/**
 * Lays out a build as a relocatable object, shaped like the vmlinux.o of a kernel with function sections.
 *
 * First every unit is made once to settle sizes, symbols and tables; the writer then asks for bytes and relocations, and each
 * unit is made again. What is held grows with symbols and table entries, never with bytes.
 */
export function kernelImage(build: Build): { writer: ElfWriter; places: Places } {
  const image = new Image(build);
  for (let number = 0; number < build.units; number++) image.addUnit(number);
  return { writer: image.finish(), places: image.places };
}

class Image {
  private readonly writer: ElfWriter;
  readonly places: Places;
  private readonly init: HeldText;
  private readonly shared: HeldText;
  private readonly text: MadeText | null;
  private readonly sharedData: Record<SynthObject['kind'], SharedData>;
  private readonly initcalls: TableSection;
  private readonly entries: PatchableEntries;
  private readonly tables: KernelTables;
  private readonly prefixes = {
    symbols: new Column(),
    sections: new Column(),
    values: new Column(),
    sizes: new Column(),
    count: 0,
  };
  /** Unit and place in it of what each section holds. */
  private readonly units = new Column();
  private readonly items = new Column();
  /** The text that the functions of the present unit share. */
  private unitText: SharedText | null = null;

  private readonly functionContent = {
    chunks: (section: number): Uint8Array[] => {
      const { lead, bytes, tail } = this.code(section);
      return [lead, bytes, tail];
    },
    rows: (section: number): Iterable<Rela> => {
      const { lead, refs } = this.code(section);
      return this.places.relas(refs, lead.length);
    },
  };

  private readonly objectContent = {
    chunks: (section: number): Uint8Array[] => [objectBytes(this.object(section))],
    rows: (section: number): Iterable<Rela> =>
      objectRelas(this.places, this.object(section), this.build.processor.types.address),
  };

  constructor(private readonly build: Build) {
    const { processor } = build;
    const writer = (this.writer = new ElfWriter({ machine: processor.machine }));
    const places = (this.places = new Places(
      writer,
      addPlatform(writer, processor, build.singleText ? '.entry.text' : '.text'),
      build.newStrings,
    ));
    this.init = new HeldText(writer, '.init.text', places, processor.text);
    this.shared = new HeldText(writer, '.sched.text', places, processor.text);
    this.text = build.singleText ? new MadeText(writer, '.text', build, places) : null;
    const sharedData = (name: string, kind: SynthObject['kind']): SharedData =>
      new SharedData(writer, { name, kind }, processor.types.address, places);
    this.sharedData = {
      data: sharedData('.ref.data', 'data'),
      rodata: sharedData('.rodata', 'rodata'),
      bss: sharedData('.bss', 'bss'),
    };
    this.entries = new PatchableEntries(writer, processor, build.joinedEntries);
    this.initcalls = new TableSection(writer, processor, { name: '.initcall6.init', flags: SHF_ALLOC, align: 1 });
    this.tables = new KernelTables(writer, processor, {
      string: (text) => places.get({ string: text }),
      named: (name) => places.get({ name }).symbol,
      key: (object) => places.get({ object }).symbol,
      staticCallKey: (call) => places.get({ name: keyName(call) }).symbol,
    });
  }

  addUnit(number: number): void {
    const { writer, places } = this;
    const encoded = this.build.unit(number);
    const { unit } = encoded;
    writer.symbol({ name: unit.file, type: STT_FILE, reserved: SHN_ABS });
    places.startUnit(unit);
    const suffix = promotedSuffix(this.build.seed, unit.number, unit.edited);
    unit.objects.forEach((object, index) =>
      places.objects.set(number, index, this.addObject(number, index, object, suffix)),
    );
    this.unitText = null;
    let labels = 0;
    for (const ordinal of unit.order) {
      const fn = unit.functions[ordinal]!;
      if (fn === null) continue;
      const code = encoded.function(ordinal);
      places.addStrings(code.refs);
      const start = this.addFunction(unit, ordinal, fn, code, suffix, `.Ltmp${labels}`);
      this.tables.add(start, code.sites, unit.source, fn.sealed);
      labels += 1 + fn.ops.length;
    }
  }

  /** The writer that holds it all. objtool adds prefix symbols when all units are linked: those of local functions stand behind the last FILE, whatever their unit. */
  finish(): ElfWriter {
    const { writer, prefixes } = this;
    for (let i = 0; i < prefixes.count; i++) {
      const name = `__pfx_${writer.symbolName(prefixes.symbols.get(i))}`;
      writer.symbol({
        name,
        type: STT_FUNC,
        section: prefixes.sections.get(i),
        value: prefixes.values.get(i),
        size: prefixes.sizes.get(i),
      });
    }
    return writer;
  }

  /** Adds a function with its symbols and, in a section of its own, the compiler's record of its patchable entry. Returns where its code starts. */
  private addFunction(
    unit: Unit,
    ordinal: number,
    fn: SynthFunction,
    code: EncodedFunction,
    suffix: string,
    label: string,
  ): SynthPlace {
    const { writer, places, tables, entries } = this;
    const { text } = this.build.processor;
    const size = code.bytes.length;
    const before = code.lead.length;
    const name = fn.scope === 'promoted' ? fn.name + suffix : fn.name;
    const alone = fn.placed === 'alone';
    const shared = alone ? null : this.sharedText(unit, fn);
    const section =
      shared === null
        ? writer.section({
            name: `.text.${name}`,
            flags: AX,
            align: text.align,
            content: { size: before + size + code.tail.length, from: this.functionContent },
          })
        : shared.section;
    const value = shared === null ? before : shared.add(unit.number, ordinal, code);
    const entry = entries.begin(section, fn);
    if (alone) {
      this.units.set(section, unit.number);
      this.items.set(section, ordinal);
      if (code.refs.length > 0) writer.relas(section, { count: code.refs.length, from: this.functionContent });
      if (!text.mappingSymbols && entries.joined === null) writer.symbol({ name: label, section });
    }
    if (text.mappingSymbols) {
      if (before > 0) writer.symbol({ name: '$d', section, value: value - before });
      writer.symbol({ name: '$x', section, value });
    }
    const binding = fn.scope === 'local' ? STB_LOCAL : STB_GLOBAL;
    const other = binding === STB_GLOBAL && !fn.exported ? STV_HIDDEN : STV_DEFAULT;
    const symbol = writer.symbol({ name, type: STT_FUNC, binding, other, section, value, size });
    const start = { symbol: writer.sectionSymbol(section), addend: value };
    entries.end(entry, start, section, fn);
    if (fn.alias !== null) writer.symbol({ name: fn.alias, type: STT_FUNC, binding, other, section, value, size });
    if (text.prefixes) {
      const prefix = { section, value: value - before, size: before };
      if (binding === STB_LOCAL) this.addPrefix(symbol, prefix);
      else writer.symbol({ name: `__pfx_${name}`, type: STT_FUNC, binding, other: STV_HIDDEN, ...prefix });
    }
    if (fn.exported) tables.export(symbol, name);
    if (fn.addressed) tables.address(symbol);
    if (fn.placed === 'init' && new Random(this.build.seed, unit.number, ordinal, 17).share() < INITCALLS)
      this.addInitcall(unit, fn, value);
    // The assembler refers to local functions through their section's symbol.
    places.sizes.set(unit.number, ordinal, size);
    places.functions.set(unit.number, ordinal, binding === STB_LOCAL ? start : { symbol, addend: 0 });
    return start;
  }

  private sharedText(unit: Unit, fn: SynthFunction): SharedText {
    if (fn.placed === 'init') return this.init;
    if (fn.placed === 'shared') return this.shared;
    if (this.text !== null) return this.text;
    return (this.unitText ??= new MadeText(this.writer, `.text.unit_${unit.number}`, this.build, this.places));
  }

  private addPrefix(symbol: number, { section, value, size }: { section: number; value: number; size: number }): void {
    const { prefixes } = this;
    prefixes.symbols.set(prefixes.count, symbol);
    prefixes.sections.set(prefixes.count, section);
    prefixes.sizes.set(prefixes.count, size);
    prefixes.values.set(prefixes.count++, value);
  }

  /** The stub and the record that make a function an initcall. */
  private addInitcall(unit: Unit, fn: SynthFunction, value: number): void {
    const {
      writer,
      init: { section },
    } = this;
    const { text } = this.build.processor;
    let size = 0;
    const stub = this.init.addStub((start) => {
      const code = text.stub(value - start);
      size = code.length;
      return code;
    });
    // The unit's name, a counter and the source line are part of the stub's name.
    const name = `__initstub__kmod_${unit.file.replace(/\.c$/, '')}__${100 + fn.ops.length}_${fn.line}_${fn.name}6`;
    const symbol = writer.symbol({
      name,
      type: STT_FUNC,
      binding: STB_GLOBAL,
      other: STV_HIDDEN,
      section,
      value: stub,
      size,
    });
    this.initcalls.refer(this.initcalls.entry([0, 0, 0, 0]), { symbol, addend: 0 });
    this.tables.address(symbol);
  }

  private addObject(unit: number, index: number, object: SynthObject, suffix: string): SynthPlace {
    const { writer, places } = this;
    const { size, scope, pointers } = object;
    const name =
      object.name + (scope === 'promoted' ? suffix : '') + (object.number === null ? '' : `.${object.number}`);
    places.addStrings(pointers);
    const shared = object.placed === 'shared' ? this.sharedData[object.kind] : null;
    const section = shared?.section ?? this.ownSection(unit, index, object, name);
    const value = shared?.add(object) ?? 0;
    const local = scope === 'local';
    const symbol = writer.symbol({
      name,
      type: STT_OBJECT,
      binding: local ? STB_LOCAL : STB_GLOBAL,
      other: local ? STV_DEFAULT : STV_HIDDEN,
      section,
      value,
      size,
    });
    return local ? { symbol: writer.sectionSymbol(section), addend: value } : { symbol, addend: 0 };
  }

  private ownSection(unit: number, index: number, { kind, size, pointers }: SynthObject, name: string): number {
    const { writer } = this;
    const header = { name: `.${kind}.${name}`, flags: kind === 'rodata' ? SHF_ALLOC : WA, align: size < 8 ? 4 : 8 };
    const section = writer.section(
      kind === 'bss'
        ? { ...header, type: SHT_NOBITS, size }
        : { ...header, content: { size, from: this.objectContent } },
    );
    this.units.set(section, unit);
    this.items.set(section, index);
    writer.sectionSymbol(section);
    if (this.build.processor.text.mappingSymbols && kind !== 'bss') writer.symbol({ name: '$d', section });
    if (pointers.length > 0) writer.relas(section, { count: pointers.length, from: this.objectContent });
    return section;
  }

  private code(section: number): EncodedFunction {
    return this.build.unit(this.units.get(section)).function(this.items.get(section));
  }

  private object(section: number): SynthObject {
    return this.build.unit(this.units.get(section)).unit.objects[this.items.get(section)]!;
  }
}
