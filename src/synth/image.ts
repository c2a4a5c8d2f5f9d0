import {
  EM_X86_64, R_X86_64_64, SHF_ALLOC, SHF_EXECINSTR, SHF_LINK_ORDER, SHF_WRITE, SHN_ABS, SHT_NOBITS, STB_GLOBAL, STB_LOCAL, STT_FILE, STT_FUNC,
  STT_OBJECT, STV_DEFAULT, STV_HIDDEN,
} from '../elf/constants';
import { ElfWriter } from '../elf/writer';
import type { Build, EncodedUnit } from './build';
import type { CodeRef, EncodedFunction } from './encode-function';
import { GrowingBytes } from './growing';
import type { SynthFunction, SynthObject } from './model';
import { promotedSuffix } from './names';
import { Places, type Place } from './places';
import { addPlatform, keyName } from './platform';
import { KernelTables, Table } from './tables';

const AX = SHF_ALLOC | SHF_EXECINSTR;
const WA = SHF_ALLOC | SHF_WRITE;
/** Bytes of NOPs in front of every function (CONFIG_CALL_PADDING), which objtool names `__pfx_`. */
const PADDING = 16;
const NOPS = new Uint8Array(PADDING).fill(0x90);
const POINTER = new Uint8Array(8);
const JMP_REL32 = 0xe9;

/**
 * Lays out builds as relocatable objects, shaped like the vmlinux.o of a ThinLTO kernel with function sections.
 * They are laid out side by side: what builds share is made once.
 */
export function kernelImages(builds: readonly Build[]): ElfWriter[] {
  const images = builds.map((build) => new Image(build));
  for (let number = 0; number < builds[0]!.units; number++) for (const image of images) image.addUnit(number);
  return images.map((image) => image.finish());
}

/** A function that was added: where references to it go, and where its code starts. */
interface Added {
  place: Place;
  start: Place;
  encoded: EncodedFunction;
}

class Image {
  private readonly writer = new ElfWriter({ machine: EM_X86_64 });
  private readonly places: Places;
  private readonly initText = new GrowingBytes();
  private readonly initSection: number;
  private readonly initRefs: CodeRef[] = [];
  private readonly initcalls: Table;
  private readonly tables: KernelTables;
  private readonly localPrefixes: Array<{ name: string; section: number; value: number }> = [];

  constructor(private readonly build: Build) {
    const { writer, initRefs } = this;
    const places = (this.places = new Places(writer, addPlatform(writer), build.newStrings));
    this.initSection = writer.section({ name: '.init.text', flags: AX, align: PADDING, content: this.initText });
    writer.relas(this.initSection, { get count() { return initRefs.length; }, rows: () => places.relas(initRefs, 0) });
    this.initcalls = new Table(writer, '.initcall6.init', SHF_ALLOC, 1);
    this.tables = new KernelTables(writer, {
      string: (text) => places.get({ string: text }),
      named: (name) => places.get({ name }).symbol,
      key: (object) => places.get({ object }).symbol,
      staticCallKey: (call) => places.get({ name: keyName(call) }).symbol,
    });
  }

  addUnit(number: number): void {
    const { writer, places } = this;
    const encodedUnit = this.build.unit(number);
    const { unit } = encodedUnit;
    writer.symbol({ name: unit.file, type: STT_FILE, reserved: SHN_ABS });
    places.startUnit();
    const suffix = promotedSuffix(this.build.seed, unit.number, unit.edited);
    for (const object of unit.objects) places.objects.add(this.addObject(object, suffix));
    let labels = 0;
    unit.functions.forEach((fn, ordinal) => {
      if (fn === null) return places.functions.add({ symbol: 0, addend: 0 });
      const { place, start, encoded } = fn.init ? this.addInitFunction(encodedUnit, ordinal, fn) : this.addFunction(number, ordinal, fn, suffix, `.Ltmp${labels}`);
      places.functions.add(place);
      places.addStrings(encoded.refs.map((ref) => ref.target));
      this.tables.add(start, encoded.sites, unit.source, fn.sealed);
      labels += 1 + fn.ops.length;
    });
  }

  /** The writer that holds it all. objtool adds prefix symbols when all units are linked: those of local functions stand behind the last FILE, whatever their unit. */
  finish(): ElfWriter {
    for (const prefix of this.localPrefixes) this.writer.symbol({ ...prefix, type: STT_FUNC, size: PADDING });
    return this.writer;
  }

  /** A function in a section of its own, with the compiler's record of its patchable entry. */
  private addFunction(unit: number, ordinal: number, fn: SynthFunction, suffix: string, label: string): Added {
    const { writer, build, places } = this;
    const encoded = build.unit(unit).function(ordinal);
    const size = encoded.bytes.length;
    const name = fn.scope === 'promoted' ? fn.name + suffix : fn.name;
    const section = writer.section({
      name: `.text.${name}`, flags: AX, align: PADDING, content: { size: PADDING + size, chunks: () => [NOPS, build.unit(unit).function(ordinal).bytes] },
    });
    const entries = writer.section({ name: '__patchable_function_entries', flags: WA | SHF_LINK_ORDER, align: 8, link: section, content: POINTER });
    writer.relas(section, { count: encoded.refs.length, rows: () => places.relas(build.unit(unit).function(ordinal).refs, PADDING) });
    writer.symbol({ name: label, section });
    const binding = fn.scope === 'local' ? STB_LOCAL : STB_GLOBAL;
    const other = fn.sealed || fn.scope === 'promoted' ? STV_HIDDEN : STV_DEFAULT;
    const symbol = writer.symbol({ name, type: STT_FUNC, binding, other, section, value: PADDING, size });
    const start = { symbol: writer.sectionSymbol(section), addend: PADDING };
    writer.sectionSymbol(entries);
    writer.relas(entries, [{ offset: 0, type: R_X86_64_64, symbol: start.symbol, addend: 0 }]);
    if (binding === STB_LOCAL) this.localPrefixes.push({ name: `__pfx_${name}`, section, value: 0 });
    else writer.symbol({ name: `__pfx_${name}`, type: STT_FUNC, binding, section, size: PADDING });
    // The assembler refers to local functions through their section's symbol.
    return { place: binding === STB_LOCAL ? start : { symbol, addend: 0 }, start, encoded };
  }

  /** A function of `.init.text`, with the stub and the record that make it an initcall. All of it is held: it is a twentieth of the code. */
  private addInitFunction(encodedUnit: EncodedUnit, ordinal: number, fn: SynthFunction): Added {
    const { writer, initText, initSection: section } = this;
    const encoded = encodedUnit.function(ordinal);
    const value = initText.add(NOPS, PADDING, 0xcc) + PADDING;
    initText.add(encoded.bytes);
    for (const ref of encoded.refs) this.initRefs.push({ ...ref, offset: value + ref.offset });
    writer.symbol({ name: fn.name, type: STT_FUNC, section, value, size: encoded.bytes.length });
    this.localPrefixes.push({ name: `__pfx_${fn.name}`, section, value: value - PADDING });

    const stub = initText.add([JMP_REL32, 0, 0, 0, 0], PADDING, 0xcc);
    initText.setWord(stub + 1, value - stub - 5);
    // The unit's name, a counter and the source line are part of the stub's name.
    const name = `__initstub__kmod_${encodedUnit.unit.file.replace(/\.c$/, '')}__${100 + fn.ops.length}_${fn.line}_${fn.name}6`;
    const symbol = writer.symbol({ name, type: STT_FUNC, binding: STB_GLOBAL, other: STV_HIDDEN, section, value: stub, size: 5 });
    this.initcalls.pc32(this.initcalls.entry([0, 0, 0, 0]), { symbol, addend: 0 });
    const start = { symbol: writer.sectionSymbol(section), addend: value };
    return { place: start, start, encoded };
  }

  private addObject(object: SynthObject, suffix: string): Place {
    const { writer, places } = this;
    const { kind, size, scope } = object;
    const name = object.name + (scope === 'promoted' ? suffix : '') + (object.number === null ? '' : `.${object.number}`);
    const header = { name: `.${kind}.${name}`, flags: kind === 'rodata' ? SHF_ALLOC : WA, align: 8 };
    const section = writer.section(kind === 'bss' ? { ...header, type: SHT_NOBITS, size } : { ...header, content: objectBytes(object) });
    const targets = object.pointers.map((pointer) => pointer.target);
    places.addStrings(targets);
    if (targets.length > 0) {
      writer.relas(section, { count: targets.length, rows: () => places.relas(object.pointers.map((pointer) => ({ ...pointer, type: R_X86_64_64, addend: 0 })), 0) });
    }
    const local = scope === 'local';
    const symbol = writer.symbol({ name, type: STT_OBJECT, binding: local ? STB_LOCAL : STB_GLOBAL, other: local ? STV_DEFAULT : STV_HIDDEN, section, size });
    const own = writer.sectionSymbol(section);
    return { symbol: local ? own : symbol, addend: 0 };
  }
}

function objectBytes(object: SynthObject): Uint8Array {
  const bytes = new Uint8Array(object.size);
  const view = new DataView(bytes.buffer);
  for (const { offset, value } of object.words) view.setUint32(offset, value, true);
  return bytes;
}
