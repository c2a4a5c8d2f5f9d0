import {
  EM_X86_64,
  R_X86_64_64,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_LINK_ORDER,
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
import type { EncodedFunction } from './encode-function';
import type { SynthFunction, SynthObject, Unit } from './model';
import { promotedSuffix } from './names';
import { Places, type SynthPlace } from './places';
import { addPlatform, keyName } from './platform';
import { Random } from './random';
import { SharedData, objectBytes, objectRelas } from './shared-data';
import type { ReferenceTable } from './growing';
import { HeldText, MadeText, NOPS, PADDING, type SharedText } from './shared-text';
import { KernelTables, TableSection, listTable } from './tables';
import { INITCALLS } from './traits';

const AX = SHF_ALLOC | SHF_EXECINSTR;
const WA = SHF_ALLOC | SHF_WRITE;
const POINTER = new Uint8Array(8);
const JMP_REL32 = 0xe9;

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
  private readonly writer = new ElfWriter({ machine: EM_X86_64 });
  readonly places: Places;
  private readonly init: HeldText;
  private readonly shared: HeldText;
  private readonly text: MadeText | null;
  private readonly sharedData: Record<SynthObject['kind'], SharedData>;
  private readonly initcalls: TableSection;
  /** Patchable entries of all functions, where the shape has them in one section. */
  private readonly entries: ReferenceTable | null;
  private readonly tables: KernelTables;
  private readonly prefixes = { symbols: new Column(), sections: new Column(), values: new Column(), count: 0 };
  /** Unit and place in it of what each section holds; of patchable entries, the symbol of the function's section. */
  private readonly units = new Column();
  private readonly items = new Column();
  /** The text that the functions of the present unit share. */
  private unitText: SharedText | null = null;

  private readonly functionContent = {
    chunks: (section: number): Uint8Array[] => [
      NOPS,
      this.build.unit(this.units.get(section)).function(this.items.get(section)).bytes,
    ],
    rows: (section: number): Iterable<Rela> =>
      this.places.relas(this.build.unit(this.units.get(section)).function(this.items.get(section)).refs, PADDING),
  };

  private readonly objectContent = {
    chunks: (section: number): Uint8Array[] => [objectBytes(this.object(section))],
    rows: (section: number): Iterable<Rela> => objectRelas(this.places, this.object(section)),
  };

  private readonly entryContent = {
    rows: (section: number): Rela[] => [{ offset: 0, type: R_X86_64_64, symbol: this.items.get(section), addend: 0 }],
  };

  constructor(private readonly build: Build) {
    const { writer } = this;
    const places = (this.places = new Places(
      writer,
      addPlatform(writer, build.singleText ? '.entry.text' : '.text'),
      build.newStrings,
    ));
    this.init = new HeldText(writer, '.init.text', places);
    this.shared = new HeldText(writer, '.sched.text', places);
    this.text = build.singleText ? new MadeText(writer, '.text', build, places) : null;
    this.sharedData = {
      data: new SharedData(writer, '.ref.data', 'data', places),
      rodata: new SharedData(writer, '.rodata', 'rodata', places),
      bss: new SharedData(writer, '.bss', 'bss', places),
    };
    this.entries = build.joinedEntries
      ? listTable(writer, {
          name: '__patchable_function_entries',
          flags: WA,
          align: 8,
          entry: 8,
          entsize: 0,
          type: R_X86_64_64,
        })
      : null;
    this.initcalls = new TableSection(writer, '.initcall6.init', SHF_ALLOC, 1);
    this.tables = new KernelTables(writer, {
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
        size: PADDING,
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
    const { writer, places, tables } = this;
    const size = code.bytes.length;
    const name = fn.scope === 'promoted' ? fn.name + suffix : fn.name;
    const alone = fn.placed === 'alone';
    const shared = alone ? null : this.sharedText(unit, fn);
    const section =
      shared === null
        ? writer.section({
            name: `.text.${name}`,
            flags: AX,
            align: PADDING,
            content: { size: PADDING + size, from: this.functionContent },
          })
        : shared.section;
    const value = shared === null ? PADDING : shared.add(unit.number, ordinal, code);
    const entries =
      alone && this.entries === null
        ? writer.section({
            name: '__patchable_function_entries',
            flags: WA | SHF_LINK_ORDER,
            align: 8,
            link: section,
            content: POINTER,
          })
        : 0;
    if (alone) {
      this.units.set(section, unit.number);
      this.items.set(section, ordinal);
      if (code.refs.length > 0) writer.relas(section, { count: code.refs.length, from: this.functionContent });
      if (this.entries === null) writer.symbol({ name: label, section });
    }
    const binding = fn.scope === 'local' ? STB_LOCAL : STB_GLOBAL;
    const other = binding === STB_GLOBAL && !fn.exported ? STV_HIDDEN : STV_DEFAULT;
    const symbol = writer.symbol({ name, type: STT_FUNC, binding, other, section, value, size });
    const start = { symbol: writer.sectionSymbol(section), addend: value };
    if (this.entries !== null) this.entries.add(start.symbol, value - PADDING);
    else if (alone) {
      writer.sectionSymbol(entries);
      this.items.set(entries, start.symbol);
      writer.relas(entries, { count: 1, from: this.entryContent });
    }
    if (fn.alias !== null) writer.symbol({ name: fn.alias, type: STT_FUNC, binding, other, section, value, size });
    if (binding === STB_LOCAL) this.addPrefix(symbol, section, value - PADDING);
    else
      writer.symbol({
        name: `__pfx_${name}`,
        type: STT_FUNC,
        binding,
        other: STV_HIDDEN,
        section,
        value: value - PADDING,
        size: PADDING,
      });
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

  private addPrefix(symbol: number, section: number, value: number): void {
    const { prefixes } = this;
    prefixes.symbols.set(prefixes.count, symbol);
    prefixes.sections.set(prefixes.count, section);
    prefixes.values.set(prefixes.count++, value);
  }

  /** The stub and the record that make a function an initcall. */
  private addInitcall(unit: Unit, fn: SynthFunction, value: number): void {
    const {
      writer,
      init: { section },
    } = this;
    const stub = this.init.addStub((start) => {
      const code = Uint8Array.of(JMP_REL32, 0, 0, 0, 0);
      new DataView(code.buffer).setInt32(1, value - start - code.length, true);
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
      size: 5,
    });
    this.initcalls.pc32(this.initcalls.entry([0, 0, 0, 0]), { symbol, addend: 0 });
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
    if (pointers.length > 0) writer.relas(section, { count: pointers.length, from: this.objectContent });
    return section;
  }

  private object(section: number): SynthObject {
    return this.build.unit(this.units.get(section)).unit.objects[this.items.get(section)]!;
  }
}
