/**
 * Identity of contents: one digest a symbol, equal in two builds exactly when nothing that matters differs.
 *
 * A symbol is its bytes plus its canonical references. A reference is (offset in the symbol, type, what it really
 * points at, distance from there). What it points at must not move with its neighbours: a string is its text, a
 * constant its bytes, a named symbol its base name, never an offset in a shared section. One edited string shifts every
 * later offset of `.rodata.str1.1`, and 8,427 rela sections of a real 7.2 kernel differ without any meaning.
 *
 * The digest errs on one side only. Where the bytes do not tell what an instruction refers to (a %rip operand with an
 * unknown number of immediate bytes behind it), every possible target goes in; where an extent is unknown, the longest
 * one does. So equal digests mean equal contents, and unequal ones are settled by `compare`, which decodes.
 */
import { Digest, R_ADDEND, R_OFFSET, R_SYM, R_TYPE, RELA_WORDS, SHT_NOBITS, s64, u64, type ElfObject } from '../../elf';
import type { Arch } from '../../arch';
import { SectionClass, recordLine, type RecordLine } from '../../livepatch/section-class';
import { coverAt } from './covers';
import { RelaReader } from './relas';
import { Kind, SECTION_ABS, Trait, type ScanTable } from './table';
import type { Uses } from './uses';

/** Tags keep references of different kinds apart; the values are arbitrary. */
const Tag = { STRING: 1, CONSTANT: 2, CONTENT: 3, NAMED: 4, PRIVATE: 5, ABSOLUTE: 6, UNDEFINED: 7, ANONYMOUS: 8, SECTION: 9, REPLACEMENT: 10, RECORD: 11, OUTSIDE: 12, BRANCH: 13 } as const;

/** Anonymous data may refer to anonymous data; real kernels go two deep. */
const DEEPEST = 32;
/** Contents that one symbol may open, all levels together. Real ones open some dozens; data that refers to itself would never end. */
const MOST_CONTENTS = 4_096;

export class Identity {
  readonly relas: RelaReader;
  private readonly digests: Digest[] = [];
  /** Contents that note no uses, by symbol. */
  private readonly contents = new Map<number, Int32Array>();
  private depth = 0;
  /** Contents opened since the outermost one. */
  private opened = 0;

  constructor(
    readonly object: ElfObject,
    readonly table: ScanTable,
    readonly arch: Arch,
    /** Where uses of ambiguous names go; undefined while comparing, when they are known already. */
    private readonly uses?: Uses,
  ) {
    this.relas = new RelaReader(object, table);
  }

  /** Fills the digests of some content symbols. */
  digestSymbols(symbols: Uint32Array): void {
    const { digest } = this.table;
    for (let i = 0; i < symbols.length; i++) digest.set(this.ofSymbol(symbols[i]!, symbols[i]!), symbols[i]! * 4);
  }

  /** The digest of a symbol's range. `user` owns the uses found on the way, 0 for none. */
  ofSymbol(symbol: number, user: number, outerSlot = 0): Int32Array {
    const { table } = this;
    const start = table.value[symbol]!;
    return this.ofRange(table.section[symbol]!, start, start + table.size[symbol]!, user, outerSlot);
  }

  /** The digest of bytes [start, end) of a section and of all references in them. The result is overwritten by the next call at this depth. */
  ofRange(section: number, start: number, end: number, user: number, outerSlot = 0): Int32Array {
    const digest = (this.digests[this.depth] ??= new Digest());
    const bits = this.table.sectionClass[section]!;
    digest.reset(bits & (SectionClass.RECORD | SectionClass.PERCPU));
    if (this.object.type(section) === SHT_NOBITS) digest.words(end - start, 0, 0, 0);
    else this.mixBytes(digest, section, start, end);
    if (this.table.relaSection[section] !== 0) this.mixReferences(digest, section, start, end, user, start, outerSlot);
    if ((bits & SectionClass.EXEC) !== 0 && this.table.coverStart[section + 1]! - this.table.coverStart[section]! > 1) this.mixBranches(digest, section, start, end);
    return digest.finish();
  }

  /** Mixes the canonical references of [start, end) of a section; slots count from `origin`. */
  mixReferences(digest: Digest, section: number, start: number, end: number, user: number, origin: number, outerSlot = 0): void {
    const { reference, symbols } = this.table;
    const relas = this.relas.select(section, start, end);
    const { words } = relas;
    for (let at = relas.at, stop = relas.stop; at < stop; at += RELA_WORDS) {
      const offset = words[at + R_OFFSET + 1] === 0 ? words[at + R_OFFSET]! : u64(words, at + R_OFFSET);
      if (offset < start || offset >= end) {
        if (offset >= this.object.size(section)) this.object.malformed(this.relas.fileOffset(at), `a rela applies to offset ${offset} of section ${section}, which has ${this.object.size(section)} bytes`);
        continue;
      }
      const symbol = words[at + R_SYM]!;
      if (symbol >= symbols) this.object.malformed(this.relas.fileOffset(at), `a rela names symbol ${symbol} of ${symbols}`);
      const type = words[at + R_TYPE]!;
      const target = symbol * 4;
      const kind = reference[target + 3]!;
      if ((kind & 0xff) === Kind.NAMED) {
        digest.words(offset - origin, Tag.NAMED | (type << 8), reference[target]!, reference[target + 1]!);
        digest.words(words[at + R_ADDEND]!, words[at + R_ADDEND + 1]!, 0, 0);
        if (kind !== Kind.NAMED && user !== 0) this.uses?.push(user, innerSlot(outerSlot, offset - origin), reference[target + 2]!);
      } else {
        digest.words(offset - origin, type, 0, 0);
        this.mixTarget(digest, symbol, section, offset, type, s64(words, at + R_ADDEND), user, innerSlot(outerSlot, offset - origin));
      }
    }
  }

  /**
   * Mixes who stands where a direct branch without a relocation may go. In a section of several functions (`.noinstr.text`)
   * the assembler resolves calls, and a distance that stays the same can come to reach another function.
   */
  private mixBranches(digest: Digest, section: number, start: number, end: number): void {
    const { table, object } = this;
    const from = object.offset(section);
    const size = object.size(section);
    this.arch.forEachPossibleBranch(object.bytes, from + start, from + end, (target) => {
      const place = target - from;
      if ((place >= start && place < end) || place < 0 || place >= size) return;
      const owner = coverAt(table, section, place);
      digest.words(Tag.BRANCH, table.hash[owner * 2]!, table.hash[owner * 2 + 1]!, owner === 0 ? 0 : low(place - table.value[owner]!));
    });
  }

  /**
   * Mixes what (symbol, addend) of a rela at `offset` of `section` points at. `knownTail` is the number of instruction
   * bytes behind the field where decoding has told it.
   */
  mixTarget(digest: Digest, symbol: number, section: number, offset: number, type: number, addend: number, user: number, slot: number, knownTail?: number): void {
    const { table } = this;
    switch (table.kind[symbol]) {
      case Kind.NAMED:
        this.mixNamed(digest, symbol, addend, user, slot);
        return;
      case Kind.STRING:
      case Kind.PLACE: {
        const place = table.value[symbol]! + addend;
        if ((table.sectionClass[section]! & SectionClass.EXEC) === 0 || !this.arch.isPcRelative(type)) {
          this.mixPlace(digest, table.section[symbol]!, place, user, slot);
          return;
        }
        const from = this.object.offset(section);
        const tail = knownTail ?? this.arch.tail(this.object.bytes, from, from + offset);
        const bias = this.arch.bias(type);
        if (tail >= 0) this.mixPlace(digest, table.section[symbol]!, place + bias + tail, user, slot);
        else for (const possible of this.arch.tails) this.mixPlace(digest, table.section[symbol]!, place + bias + possible, user, slot);
        return;
      }
      case Kind.CONTENT:
        digest.words(Tag.CONTENT, low(addend), high(addend), 0);
        this.mixContent(digest, table.canonical[symbol]!, user, slot);
        return;
      case Kind.PRIVATE:
        digest.words(Tag.PRIVATE, table.hash[symbol * 2]!, table.hash[symbol * 2 + 1]!, low(addend));
        digest.words(high(addend), 0, 0, 0);
        return;
      case Kind.ABSOLUTE:
        digest.words(Tag.ABSOLUTE, low(table.value[symbol]! + addend), high(table.value[symbol]! + addend), 0);
        return;
      case Kind.UNDEFINED:
        digest.words(Tag.UNDEFINED, table.hash[symbol * 2]!, table.hash[symbol * 2 + 1]!, low(addend));
        digest.words(high(addend), 0, 0, 0);
        return;
      default:
        digest.words(Tag.ABSOLUTE, low(addend), high(addend), 1);
    }
  }

  /** Mixes whatever lies at `offset` of a section. */
  mixPlace(digest: Digest, section: number, offset: number, user: number, slot: number): void {
    const { table } = this;
    if (section >= table.sections) {
      digest.words(Tag.ABSOLUTE, low(offset), high(offset), section === SECTION_ABS ? 0 : 1);
      return;
    }
    const bits = table.sectionClass[section]!;
    if (bits & SectionClass.STRING) this.mixString(digest, section, offset);
    else if (bits & SectionClass.TOC) this.mixTocEntry(digest, section, offset, user, slot);
    else if (bits & SectionClass.REPLACEMENT) digest.words(Tag.REPLACEMENT, 0, 0, 0);
    else if (bits & SectionClass.RECORD) this.mixRecord(digest, section, offset, user, slot);
    else if (bits & SectionClass.CONSTANT && this.object.entsize(section) > 0) {
      const size = this.object.entsize(section);
      const start = Math.floor(offset / size) * size;
      this.mixExtent(digest, Tag.CONSTANT, section, start, start + size, offset, user, slot);
    } else {
      const target = this.objectAt(section, offset);
      if (target !== 0) this.mixTargetSymbol(digest, target, offset - table.value[target]!, user, slot);
      else this.mixAnonymous(digest, section, offset, user, slot);
    }
  }

  /** What a TOC entry refers to; a constant entry is its eight bytes. */
  private mixTocEntry(digest: Digest, section: number, offset: number, user: number, slot: number): void {
    const at = this.tocRela(section, offset);
    if (at < 0) {
      this.mixExtent(digest, Tag.CONSTANT, section, offset, offset + 8, offset, user, slot);
      return;
    }
    const { words } = this.relas;
    this.mixTarget(digest, words[at + R_SYM]!, section, offset, words[at + R_TYPE]!, s64(words, at + R_ADDEND), user, slot);
  }

  /** Word number, in `relas.words`, of the rela of a TOC entry; -1 for a constant. An entry that refers to the TOC is none. */
  tocRela(section: number, offset: number): number {
    const { at, stop, words } = this.relas.select(section, offset, offset + 8);
    for (let i = at; i < stop; i += RELA_WORDS) {
      const symbol = words[i + R_SYM]!;
      if (u64(words, i + R_OFFSET) === offset && symbol < this.table.symbols && this.table.section[symbol] !== section) return i;
    }
    return -1;
  }

  /** The symbol that a place belongs to; 0 for anonymous data. */
  objectAt(section: number, offset: number): number {
    const { table } = this;
    const from = table.coverStart[section]!;
    const to = table.coverStart[section + 1]!;
    if (from === to) return 0;
    const only = table.canonical[table.covers[from]!]!;
    if (only === table.canonical[table.covers[to - 1]!]! && table.coverEnd[to - 1]! === this.object.size(section)
      && (table.value[only] === 0 || (table.sectionClass[section]! & SectionClass.EXEC) !== 0)) {
      // A section of one object is that object, wherever a reference points: `set_proc_pid_nlink` compares against
      // .rodata.tgid_base_stuff + 0x8cc, 12 bytes past its end (Linux 6.12, GCC 12).
      return only;
    }
    // End pointers: one past an object belongs to it, unless another begins there.
    return coverAt(table, section, offset) || coverAt(table, section, offset - 1);
  }

  private mixTargetSymbol(digest: Digest, target: number, delta: number, user: number, slot: number): void {
    const { table } = this;
    const kind = table.kind[target];
    if (kind === Kind.CONTENT) {
      digest.words(Tag.CONTENT, low(delta), high(delta), 0);
      this.mixContent(digest, target, user, slot);
    } else if (kind === Kind.PRIVATE) digest.words(Tag.PRIVATE, table.hash[target * 2]!, table.hash[target * 2 + 1]!, low(delta));
    else this.mixNamed(digest, target, delta, user, slot);
  }

  private mixNamed(digest: Digest, symbol: number, delta: number, user: number, slot: number): void {
    const { table } = this;
    const target = table.canonical[symbol]!;
    digest.words(Tag.NAMED, table.hash[target * 2]!, table.hash[target * 2 + 1]!, low(delta));
    digest.words(high(delta), 0, 0, 0);
    if (user !== 0 && (table.traits[target]! & Trait.AMBIGUOUS) !== 0) this.uses?.push(user, slot, target);
  }

  private mixContent(digest: Digest, symbol: number, user: number, slot: number): void {
    let content = this.contents.get(symbol);
    if (content === undefined) {
      if (this.depth >= DEEPEST) {
        digest.words(Tag.CONTENT, this.table.hash[symbol * 2]!, this.table.hash[symbol * 2 + 1]!, 1);
        return;
      }
      const before = this.uses?.count ?? 0;
      this.open(this.table.section[symbol]!);
      content = this.ofSymbol(symbol, user, nonZero(slot)).slice();
      this.depth--;
      // What refers to a name that proves nothing must note it for every user.
      if ((this.uses?.count ?? 0) === before) this.contents.set(symbol, content);
    }
    digest.words(content[0]!, content[1]!, content[2]!, content[3]!);
  }

  /** Goes one level down. @throws KlpflowError `malformed-elf` for data that refers to itself without end */
  private open(section: number): void {
    this.opened = this.depth === 0 ? 1 : this.opened + 1;
    if (this.opened > MOST_CONTENTS) this.object.malformed(this.object.offset(section), `read-only data of section ${section} refers to itself, more than ${MOST_CONTENTS} times over`);
    this.depth++;
  }

  /** The string's units up to the first all-zero one; bytes of it, never its place. */
  private mixString(digest: Digest, section: number, offset: number): void {
    const size = this.object.size(section);
    if (offset < 0 || offset >= size) {
      digest.words(Tag.OUTSIDE, low(offset - size), high(offset - size), 0);
      return;
    }
    const unit = this.object.entsize(section) || 1;
    const { bytes } = this.object;
    const start = this.object.offset(section) + offset;
    const limit = this.object.offset(section) + size;
    digest.words(Tag.STRING, unit, 0, 0);
    digest.bytes(bytes, start, stringEnd(bytes, start, limit, unit));
  }

  /** Data that no symbol covers. */
  private mixAnonymous(digest: Digest, section: number, offset: number, user: number, slot: number): void {
    const { table, object } = this;
    const bits = table.sectionClass[section]!;
    const size = object.size(section);
    const inside = offset >= 0 && offset < size;
    const name = object.name(section);
    // Clang's unnamed constants of writable kind count by content; UBSAN's locations carry lines and do not.
    const unnamed = (bits & (SectionClass.ANONYMOUS | SectionClass.NOBITS)) === SectionClass.ANONYMOUS && !name.startsWith('.data..Lubsan');
    if (((bits & SectionClass.READONLY) === 0 && !unnamed) || !inside) {
      // Writable or empty: `.bss.__key.414` is "a key", whatever its number. A place in a section without symbols is told
      // by its offset; `compare` looks at the content where that moved.
      digest.words(Tag.SECTION, bits & SectionClass.WRITE, low(offset), high(offset));
      const text = Buffer.from(name.replace(/[0-9._]+$/, ''), 'latin1');
      digest.bytes(text, 0, text.length);
      return;
    }
    const whole = table.coverStart[section] === table.coverStart[section + 1] && name.includes('..L');
    const start = whole ? 0 : offset;
    this.mixExtent(digest, Tag.ANONYMOUS, section, start, whole ? size : nextCover(table, section, offset, size), offset, user, slot);
  }

  private mixExtent(digest: Digest, tag: number, section: number, start: number, end: number, offset: number, user: number, slot: number): void {
    if (start < 0 || end > this.object.size(section) || this.depth >= DEEPEST) {
      digest.words(Tag.OUTSIDE, low(offset), high(offset), tag);
      return;
    }
    this.open(section);
    const content = this.ofRange(section, start, end, user, nonZero(slot));
    digest.words(tag, low(offset - start), 0, 0);
    digest.words(content[0]!, content[1]!, content[2]!, content[3]!);
    this.depth--;
  }

  /** A record that a line number stands in: its references and all bytes but the line's. */
  private mixRecord(digest: Digest, section: number, offset: number, user: number, slot: number): void {
    const { table } = this;
    digest.words(Tag.RECORD, 0, 0, 0);
    const symbol = coverAt(table, section, offset);
    if (symbol === 0 || this.depth >= DEEPEST) return;
    digest.words(low(offset - table.value[symbol]!), 0, 0, 0);
    if (user !== 0 && (table.traits[symbol]! & Trait.AMBIGUOUS) !== 0) this.uses?.push(user, slot, symbol);
    this.open(section);
    const content = this.ofSymbol(symbol, 0);
    digest.words(content[0]!, content[1]!, content[2]!, content[3]!);
    this.depth--;
  }

  private mixBytes(digest: Digest, section: number, start: number, end: number): void {
    const { object, table } = this;
    const from = object.offset(section);
    if (table.sectionClass[section]! & SectionClass.RECORD) {
      this.mixRecordBytes(digest, recordLine(object.name(section), object.little), from + start, from + end);
      return;
    }
    if ((object.bytes.byteOffset + from + start) % 4 === 0) digest.alignedBytes(object.words, object.bytes, from + start, from + end);
    else digest.bytes(object.bytes, from + start, from + end);
  }

  private mixRecordBytes(digest: Digest, line: RecordLine | undefined, start: number, end: number): void {
    const copy = this.object.bytes.slice(start, end);
    if (line !== undefined && copy.length >= line.offset + 4) {
      const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
      view.setUint32(line.offset, view.getUint32(line.offset, this.object.little) & ~line.mask, this.object.little);
    }
    digest.bytes(copy, 0, copy.length);
  }
}

/** End of the string at `start`: the first all-zero unit, or `limit`. File offsets. */
export function stringEnd(bytes: Uint8Array, start: number, limit: number, unit: number): number {
  for (let at = start; at + unit <= limit; at += unit) {
    let zero = true;
    for (let i = 0; i < unit && zero; i++) zero = bytes[at + i] === 0;
    if (zero) return at;
  }
  return limit;
}

/** Where the next symbol after `offset` begins, or `size`. */
function nextCover(table: ScanTable, section: number, offset: number, size: number): number {
  for (let i = table.coverStart[section]!; i < table.coverStart[section + 1]!; i++) {
    const start = table.value[table.covers[i]!]!;
    if (start > offset) return start;
  }
  return size;
}

/** Slot of a reference within content that is reached through another reference; 0 is the outermost level. */
function innerSlot(outer: number, offset: number): number {
  return outer === 0 ? offset : (Math.imul(outer, 0x9e3779b1) ^ offset) >>> 0;
}

function nonZero(slot: number): number {
  return slot + 1;
}

function low(value: number): number {
  return value | 0;
}

function high(value: number): number {
  return Math.floor(value / 0x100000000) | 0;
}
