/** Functions of an object as two links of the same code show them: bytes, and references by what they lead to. */
import { archOf, type Arch } from '../arch';
import {
  ElfObject,
  RELA_WORDS,
  R_X86_64_64,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  R_ADDEND,
  SHF_STRINGS,
  SHN_UNDEF,
  SHT_RELA,
  ST_INFO,
  ST_SIZE,
  ST_VALUE,
  STT_FILE,
  STT_FUNC,
  STT_SECTION,
  SYM_WORDS,
  s64,
  u64,
} from '../elf';

export interface CodeSymbol {
  name: string;
  type: number;
  section: number;
  value: number;
  size: number;
}

interface Reference {
  offset: number;
  type: number;
  symbol: CodeSymbol;
  addend: number;
}

/** Widths of the fields that relocations write on x86-64, in bytes. */
const width = (type: number): number => (type === R_X86_64_64 || type === R_X86_64_PC64 ? 8 : 4);

export class ModuleCode {
  readonly symbols: CodeSymbol[] = [];
  private readonly bySection = new Map<number, CodeSymbol[]>();
  private readonly relas = new Map<number, Reference[]>();

  private readonly arch: Arch;

  private constructor(private readonly elf: ElfObject) {
    this.arch = archOf(elf.machine, elf.path);
    for (let symbol = 0; symbol < elf.symbolCount; symbol++) {
      const at = symbol * SYM_WORDS;
      const info = elf.symbols[at + ST_INFO]!;
      const entry = {
        name: elf.symbolName(symbol),
        type: info & 0xf,
        section: info >>> 16,
        value: u64(elf.symbols, at + ST_VALUE),
        size: u64(elf.symbols, at + ST_SIZE),
      };
      this.symbols.push(entry);
      // Also what has no size: a lock's class (`__key.673`) is empty without lockdep.
      if (entry.section === SHN_UNDEF || entry.name === '' || entry.type === STT_SECTION || entry.type === STT_FILE)
        continue;
      const own = this.bySection.get(entry.section);
      if (own === undefined) this.bySection.set(entry.section, [entry]);
      else own.push(entry);
    }
  }

  /** @throws KlpflowError for what is no well-formed object */
  static open(path: string): ModuleCode {
    return new ModuleCode(ElfObject.open(path));
  }

  /** Functions by name, those of one name in the order of the symbol table. */
  functions(): Map<string, CodeSymbol[]> {
    return this.named(({ type, size, section }) => type === STT_FUNC && size > 0 && section !== SHN_UNDEF);
  }

  /** All that kallsyms would list of a name. */
  listed(): Map<string, CodeSymbol[]> {
    return this.named(
      ({ name, type, section }) => name !== '' && type !== STT_FILE && type !== STT_SECTION && section !== SHN_UNDEF,
    );
  }

  private named(which: (symbol: CodeSymbol) => boolean): Map<string, CodeSymbol[]> {
    const found = new Map<string, CodeSymbol[]>();
    for (const symbol of this.symbols.filter(which))
      found.set(symbol.name, [...(found.get(symbol.name) ?? []), symbol]);
    return found;
  }

  /**
   * The first offset at which a function of ORIG differs from one that is linked, in bytes or in what a reference leads to; undefined where they
   * are one. Without a section a function, calls within a unit's text are final and have no relocation.
   */
  differs(own: CodeSymbol, linked: ModuleCode, theirs: CodeSymbol): number | undefined {
    if (own.size !== theirs.size) return 0;
    const [ours, others] = [this.code(own), linked.code(theirs)];
    const twins = new Map(others.references.map((reference) => [reference.offset - theirs.value, reference]));
    for (const reference of ours.references) {
      const at = reference.offset - own.value;
      const twin = twins.get(at) ?? linked.finalReference(theirs, at);
      twins.delete(at);
      if (twin === undefined || !sameKind(reference, twin)) return at;
      const biases = this.biases(own, ours.bytes, reference);
      if (!biases.some((bias) => meet(this.targets(reference, bias), linked.targets(twin, bias)))) return at;
      ours.bytes.fill(0, at, at + width(reference.type));
      others.bytes.fill(0, at, at + width(reference.type));
    }
    const [left] = twins.keys();
    if (left !== undefined) return left;
    const first = ours.bytes.findIndex((byte, i) => byte !== others.bytes[i]);
    return first < 0 ? undefined : first;
  }

  /** A distance that stands in code already, as the relocation that it was. */
  private finalReference({ section, value }: CodeSymbol, at: number): Reference | undefined {
    const content = this.elf.content(section);
    const offset = value + at;
    if (offset + 4 > content.length) return undefined;
    const distance = new DataView(content.buffer, content.byteOffset + offset, 4).getInt32(0, true);
    const symbol = { name: '', type: STT_SECTION, section, value: 0, size: 0 };
    return { offset, type: R_X86_64_PC32, symbol, addend: offset + distance };
  }

  private code({ section, value, size }: CodeSymbol): { bytes: Uint8Array; references: Reference[] } {
    return {
      bytes: this.elf.content(section).slice(value, value + size),
      references: this.relasOf(section).filter(({ offset }) => offset >= value && offset < value + size),
    };
  }

  private relasOf(target: number): Reference[] {
    let found = this.relas.get(target);
    if (found !== undefined) return found;
    found = [];
    for (let section = 1; section < this.elf.sectionCount; section++) {
      if (this.elf.type(section) !== SHT_RELA || this.elf.info(section) !== target) continue;
      const words = this.elf.relas(section);
      for (let at = 0; at < words.length; at += RELA_WORDS)
        found.push({
          offset: u64(words, at + R_OFFSET),
          type: words[at + R_TYPE]!,
          symbol: this.symbols[words[at + R_SYM]!]!,
          addend: s64(words, at + R_ADDEND),
        });
    }
    found.sort((a, b) => a.offset - b.offset);
    this.relas.set(target, found);
    return found;
  }

  /** How far an addend is from what it means: the processor counts from the instruction's end. Several where the bytes before the field do not tell. */
  private biases({ value }: CodeSymbol, bytes: Uint8Array, { type, offset }: Reference): number[] {
    if (!this.arch.isPcRelative(type)) return [0];
    const tail = this.arch.tail(bytes, 0, offset - value);
    return (tail < 0 ? this.arch.tails : [tail]).map((behind) => this.arch.bias(type) + behind);
  }

  /**
   * What a reference may lead to: by name where there is one, also the end of what has a name (an array's last element), by text where it is a string.
   * Constants without a name have none.
   */
  private targets({ symbol, addend }: Reference, bias: number): string[] {
    if (symbol.section === SHN_UNDEF) return [`${symbol.name}+${addend + bias}`];
    const offset = symbol.value + addend + bias;
    const { section } = symbol;
    const named = (this.bySection.get(section) ?? [])
      .filter(({ value, size }) => value <= offset && offset <= value + size)
      .map(({ name, value }) => `${name}+${offset - value}`);
    if (named.length > 0) return named;
    if (section >= this.elf.sectionCount || (this.elf.sectionFlags(section) & SHF_STRINGS) === 0) return [];
    const content = this.elf.content(section);
    const end = content.indexOf(0, offset);
    return offset < 0 || end < 0 ? [] : [`"${Buffer.from(content.subarray(offset, end)).toString('latin1')}"`];
  }
}

/** Whether two references may lead to one thing; what nothing names is told by the code that reads it. */
function meet(own: readonly string[], theirs: readonly string[]): boolean {
  return own.some((target) => theirs.includes(target)) || (own.length === 0 && theirs.length === 0);
}

/** A call may be marked as one, or as any distance. */
function sameKind(own: Reference, twin: Reference): boolean {
  const kind = (type: number): number => (type === R_X86_64_PLT32 ? R_X86_64_PC32 : type);
  return kind(own.type) === kind(twin.type);
}
