import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHN_UNDEF,
  SHT_NOBITS,
  s64,
  u64,
  type Offset,
  type SectionIndex,
  type SymbolIndex,
} from '../../../elf';
import { SectionClass } from '../../../kernel/section-class';
import type { Range } from '../../side/range';
import type { Side } from '../../side/side';
import type { KernelCode } from './kernel-code';
import { SHORT, relaxed, type Parting, type Shortened } from './relaxed';

/** Why a section of ORIG is not what stands at an address of the image. */
export interface Misfit {
  /** Bytes from the section's start. */
  offset: Offset;
  why: string;
}

/** A relocation of ORIG. */
interface Rela {
  type: number;
  offset: Offset;
  symbol: SymbolIndex;
  addend: number;
}

/** What a field of the image says of the symbol that ORIG's relocation names. */
export interface Reading extends Rela {
  /** Where that symbol is in the image. */
  address: number;
}

const NONE: readonly Shortened[] = [];

/**
 * Whether the image has a section of ORIG at an address: all bytes that linking did not write, and each reference, which must lead to
 * a place where the list has the name, or to the same text. A branch to another function would make two functions one
 * where fields are only masked (`module_arch_cleanup` of 7.3, a jump to the return thunk, is `its_free_mod` then).
 */
export class SectionFit {
  private readonly shortened = new Map<string, readonly Shortened[]>();

  constructor(
    private readonly orig: Side,
    private readonly kernel: KernelCode,
  ) {}

  /** Undefined where a range of a section fits, whose section would begin at `base`. */
  misfit(range: Range, base: number): Misfit | undefined {
    if (this.orig.object.type(range.section) === SHT_NOBITS) return undefined;
    return this.otherBytes(range, base) ?? this.wrongReference(range, base);
  }

  /**
   * What the fields of a range say of the symbols they name, whose section begins at `base`. `visit` gets the same object each time, as a kernel has a
   * million fields; where it answers false nothing follows.
   */
  forEachReading(range: Range, base: number, visit: (reading: Readonly<Reading>) => boolean): void {
    const { arch, table } = this.orig;
    const moved = this.shortened.get(keyOf(range, base)) ?? NONE;
    const shift = moved.at(-1)?.shift ?? 0;
    const code = this.kernel.memory.bytesAt(base + range.start, range.end + shift - range.start);
    if (code === undefined) return;
    const view = new DataView(code.buffer, code.byteOffset, code.length);
    const reading: Reading = { type: 0, offset: 0, symbol: 0, addend: 0, address: 0 };
    let before = 0;
    const { words, at: first, stop } = this.orig.identity.relas.select(range.section, range.start, range.end);
    for (let i = first; i < stop; i += RELA_WORDS) {
      const offset = u64(words, i + R_OFFSET);
      const symbol = words[i + R_SYM]!;
      // A field that does not lie within is that of a damaged object.
      if (offset < range.start || offset >= range.end || symbol === 0 || symbol >= table.symbols) continue;
      while (before < moved.length && moved[before]!.end <= offset) before++;
      const by = before === 0 ? 0 : moved[before - 1]!.shift;
      const at = offset + by - range.start;
      const type = words[i + R_TYPE]!;
      const addend = s64(words, i + R_ADDEND);
      const short = moved[before];
      let address: number | undefined;
      if (short?.field === offset) {
        const from = short.at + by - range.start;
        address = base + range.start + from + SHORT + view.getInt8(from + 1) - arch.bias(type) - addend;
      } else if (at + (type === arch.address64 ? 8 : 4) <= code.length)
        address = arch.linkedAddress(type, view, at, base + offset + by, addend);
      if (address === undefined) continue;
      reading.type = type;
      reading.offset = offset;
      reading.symbol = symbol;
      reading.addend = addend;
      reading.address = address;
      if (!visit(reading)) return;
    }
  }

  /** Where bytes differ that no linking wrote. */
  private otherBytes(range: Range, base: number): Misfit | undefined {
    const { section, start, end } = range;
    const own = this.orig.object.content(section);
    const theirs = this.kernel.memory.bytesAt(base + start, end - start);
    if (theirs === undefined) return { offset: start, why: 'the image has no such memory' };
    if (this.isEqualBetweenFields(range, own, theirs)) return undefined;
    const found = this.differenceOf(range, own, theirs);
    if (!Array.isArray(found)) {
      const { at, shift } = found;
      return { offset: at, why: `ORIG has ${hex(own, at)}, the kernel ${hex(theirs, at + shift - start)}` };
    }
    this.shortened.set(keyOf(range, base), found);
    return undefined;
  }

  /** Where bytes differ, or which branches are shorter in the image. */
  private differenceOf(range: Range, content: Uint8Array, theirs: Uint8Array): Shortened[] | Parting {
    const { start, end } = range;
    const { arch } = this.orig;
    const linked = new Uint8Array(end - start);
    const branches = new Map<number, number>();
    for (const { type, offset } of this.relas(range)) {
      const [from, to] = arch.linked(type);
      linked.fill(1, Math.max(0, offset + from - start), Math.max(0, offset + to - start));
      const short = arch.isPcRelative(type) ? arch.shortBranch(content, start, offset) : undefined;
      if (short !== undefined) branches.set(short.at, offset);
    }
    const bytes = content.subarray(start, end);
    const first = bytes.findIndex((byte, i) => byte !== theirs[i] && linked[i] !== 1);
    if (branches.size === 0) return { at: start + first, shift: 0 };
    const { disassembler } = this.orig;
    const own = { bytes, instructions: disassembler.decode(bytes), start, linked, branches };
    return relaxed(own, { bytes: theirs, instructions: disassembler.decode(theirs) });
  }

  /** Nearly always so, and then nothing has to be remembered of fields. Relas come in the order of their offsets. */
  private isEqualBetweenFields({ section, start, end }: Range, own: Uint8Array, theirs: Uint8Array): boolean {
    const { identity, arch } = this.orig;
    const { words, at: first, stop } = identity.relas.select(section, start, end);
    let at = start;
    for (let i = first; i < stop; i += RELA_WORDS) {
      const offset = u64(words, i + R_OFFSET);
      if (offset < start || offset >= end) continue;
      const [from, to] = arch.linked(words[i + R_TYPE]!);
      for (const until = Math.min(end, offset + from); at < until; at++)
        if (own[at] !== theirs[at - start]) return false;
      if (at < offset + to) at = offset + to;
    }
    for (; at < end; at++) if (own[at] !== theirs[at - start]) return false;
    return true;
  }

  private wrongReference(range: Range, base: number): Misfit | undefined {
    const { table, object } = this.orig;
    let found: Misfit | undefined;
    this.forEachReading(range, base, (reading) => {
      const { symbol, address, offset } = reading;
      if (this.isText(symbol)) {
        const why = this.otherText(range.section, reading);
        if (why !== undefined) found = { offset, why };
        return found === undefined;
      }
      const length = table.nameLength[symbol]!;
      if (length === 0) return true;
      const places = this.kernel.addressesOf(object.bytes, table.name[symbol]!, length);
      // A kernel's list lacks some names; a module's table has whatever its units define or import.
      const known = places.length > 0 || (this.kernel.imports !== null && table.section[symbol] === SHN_UNDEF);
      if (known && !places.includes(address))
        found = { offset, why: `ORIG refers to ${this.orig.name(symbol)}, the kernel there to something else` };
      return found === undefined;
    });
    return found;
  }

  /** Whether a symbol stands for merged strings, of which the linker keeps one each: content is all they have. */
  private isText(symbol: SymbolIndex): boolean {
    const { section, sections, sectionClass } = this.orig.table;
    return section[symbol]! < sections && (sectionClass[section[symbol]!]! & SectionClass.STRING) !== 0;
  }

  /** Bytes from its symbol to the place that a reference of a section means; NaN where the bytes before the field do not tell. */
  meant(section: SectionIndex, { offset, type, addend }: Rela): number {
    const { object, arch } = this.orig;
    if (!arch.isPcRelative(type)) return addend;
    // What is counted from the instruction's end is part of the addend.
    const tail = arch.tail(object.content(section), 0, offset);
    return tail < 0 ? Number.NaN : addend + arch.bias(type) + tail;
  }

  private otherText(section: SectionIndex, reading: Reading): string | undefined {
    const { object, table } = this.orig;
    const { symbol, address } = reading;
    const from = this.meant(section, reading);
    if (Number.isNaN(from)) return undefined;
    const own = object.content(table.section[symbol]!);
    const start = table.value[symbol]! + from;
    const end = own.indexOf(0, Math.max(0, start));
    if (start < 0 || end < 0) return undefined;
    // Merging makes the address of the symbol itself meaningless: only the place that is meant is one.
    const theirs = this.kernel.memory.bytesAt(address + from, end + 1 - start);
    return theirs !== undefined && own.subarray(start, end + 1).every((byte, i) => byte === theirs[i])
      ? undefined
      : `ORIG has the text "${Buffer.from(own.subarray(start, Math.min(end, start + 40))).toString('latin1')}", the kernel another`;
  }

  private *relas(range: Range): Generator<Rela> {
    for (const { words, at, offset } of this.orig.relasIn(range))
      yield { type: words[at + R_TYPE]!, offset, symbol: words[at + R_SYM]!, addend: s64(words, at + R_ADDEND) };
  }
}

function keyOf({ section, start, end }: Range, base: number): string {
  return `${section}:${start}:${end}:${base}`;
}

function hex(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.subarray(at, at + 8))
    .toString('hex')
    .replace(/../g, '$& ')
    .trimEnd();
}
