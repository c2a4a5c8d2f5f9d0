import { RELA_WORDS, R_ADDEND, R_OFFSET, R_SYM, R_TYPE, SHT_NOBITS, s64, u64 } from '../../../elf';
import { SectionClass } from '../../../kernel/section-class';
import type { Side } from '../../side/side';
import type { KernelCode } from './kernel-code';

/** Why a section of ORIG is not what stands at an address of the image. */
export interface Misfit {
  /** Bytes from the section's start. */
  offset: number;
  why: string;
}

/** What a field of the image says of the symbol that ORIG's relocation names. */
export interface Reading {
  symbol: number;
  /** Where that symbol is in the image. */
  address: number;
}

/**
 * Whether the image has a section of ORIG at an address: all bytes that linking did not write, and each reference, which must lead to
 * a place where the list has the name, or to the same text. A branch to another function would make two functions one
 * where fields are only masked (`module_arch_cleanup` of 7.3, a jump to the return thunk, is `its_free_mod` then).
 */
export class SectionFit {
  constructor(
    private readonly orig: Side,
    private readonly kernel: KernelCode,
  ) {}

  /** Undefined where it fits. */
  misfit(section: number, base: number): Misfit | undefined {
    const { object, arch } = this.orig;
    if (object.type(section) === SHT_NOBITS) return undefined;
    const own = object.content(section);
    const theirs = this.kernel.memory.bytesAt(base, own.length);
    if (theirs === undefined) return { offset: 0, why: 'the image has no such memory' };
    const linked = new Uint8Array(own.length);
    for (const { type, offset } of this.relas(section)) {
      const [from, to] = arch.linked(type);
      linked.fill(1, Math.max(0, offset + from), Math.max(0, offset + to));
    }
    for (let at = 0; at < own.length; at++)
      if (own[at] !== theirs[at] && linked[at] === 0)
        return { offset: at, why: `ORIG has ${hex(own, at)}, the kernel ${hex(theirs, at)}` };
    return this.wrongReference(section, base);
  }

  /** What the fields of a section that lies at `base` say of the symbols they name. */
  *readings(section: number, base: number): Generator<Reading & { offset: number; type: number; addend: number }> {
    const { arch, object } = this.orig;
    const code = this.kernel.memory.bytesAt(base, object.size(section));
    if (code === undefined) return;
    const view = new DataView(code.buffer, code.byteOffset, code.length);
    for (const { type, offset, symbol, addend } of this.relas(section)) {
      // A field that does not lie within is that of a damaged object.
      if (symbol === 0 || symbol >= this.orig.table.symbols || offset + 8 > code.length + 4) continue;
      if (offset + (type === arch.address64 ? 8 : 4) > code.length) continue;
      const address = arch.linkedAddress(type, view, offset, base + offset, addend);
      if (address !== undefined) yield { symbol, address, offset, type, addend };
    }
  }

  private wrongReference(section: number, base: number): Misfit | undefined {
    for (const { symbol, address, offset, type, addend } of this.readings(section, base)) {
      const { table, object } = this.orig;
      if (this.isText(symbol)) {
        const why = this.otherText(symbol, address, section, offset, type, addend);
        if (why !== undefined) return { offset, why };
        continue;
      }
      const length = table.nameLength[symbol]!;
      if (length === 0) continue;
      const places = this.kernel.addressesOf(object.bytes, table.name[symbol]!, length);
      if (places.length > 0 && !places.includes(address))
        return { offset, why: `ORIG refers to ${this.orig.name(symbol)}, the kernel there to something else` };
    }
    return undefined;
  }

  /** Whether a symbol stands for merged strings, of which the linker keeps one each: content is all they have. */
  private isText(symbol: number): boolean {
    const { section, sections, sectionClass } = this.orig.table;
    return section[symbol]! < sections && (sectionClass[section[symbol]!]! & SectionClass.STRING) !== 0;
  }

  private otherText(
    symbol: number,
    address: number,
    section: number,
    offset: number,
    type: number,
    addend: number,
  ): string | undefined {
    const { object, arch, table } = this.orig;
    // What is counted from the instruction's end is part of the addend, and so of both distances.
    const tail = arch.isPcRelative(type) ? arch.tail(object.content(section), 0, offset) : 0;
    if (tail < 0) return undefined;
    const from = addend + (arch.isPcRelative(type) ? arch.bias(type) + tail : 0);
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

  private *relas(section: number): Generator<{ type: number; offset: number; symbol: number; addend: number }> {
    const { object, table } = this.orig;
    const rela = table.relaSection[section]!;
    if (rela === 0) return;
    const words = object.relas(rela);
    for (let at = 0; at < words.length; at += RELA_WORDS)
      yield {
        type: words[at + R_TYPE]!,
        offset: u64(words, at + R_OFFSET),
        symbol: words[at + R_SYM]!,
        addend: s64(words, at + R_ADDEND),
      };
  }
}

function hex(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.subarray(at, at + 8))
    .toString('hex')
    .replace(/../g, '$& ')
    .trimEnd();
}
