import type { Offset } from '../elf';
import { KlpflowError, type DiagnosticCode } from '../diagnostics';

/**
 * BTF, the kernel's own type information (include/uapi/linux/btf.h): sizes and members of structs by name.
 *
 * Header: magic 0xeb9f, u8 version, u8 flags, u32 header length, then u32 offset and length of the types and of the
 * strings. A type is u32 name, u32 info (vlen 0-15, kind 24-28, kind flag 31), u32 size or type, then data whose length follows from kind.
 */
const MAGIC = 0xeb9f;
const STRUCT = 4;
const UNION = 5;
const TYPE_HEAD = 12;
const MEMBER = 12;

/** Bytes behind the head of a type, by kind: fixed, or per member. */
const FIXED: Record<number, number> = { 1: 4, 3: 12, 14: 4, 17: 4 };
const EACH: Record<number, number> = { 4: MEMBER, 5: MEMBER, 6: 8, 13: 8, 15: 12, 19: 12 };
const KNOWN_KINDS = 19;
/** Anonymous structs in one another: the deepest of a kernel's are 5. */
const DEEPEST = 64;

/** How the kernel lays a struct out: bytes. */
export interface StructLayout {
  size: number;
  /** Offset of each named member; members of anonymous structs and unions count as the struct's own. Bit-fields are left out. */
  offsets: Record<string, number>;
}

/**
 * Sizes in bytes of the named structs and unions that `btf` has.
 * @throws KlpflowError `malformed-elf` for damaged BTF, `no-btf` for a module's split BTF
 */
export function structSizes(btf: Uint8Array, names: readonly string[], path: string): Record<string, number> {
  const types = new BtfTypes(btf, path);
  const sizes: Record<string, number> = {};
  for (const [name, at] of types.named(names, true)) sizes[name] = types.u32(at + 8);
  return sizes;
}

/**
 * Layouts of the named structs that `btf` has.
 * @throws KlpflowError as `structSizes`
 */
export function structLayouts(btf: Uint8Array, names: readonly string[], path: string): Record<string, StructLayout> {
  const types = new BtfTypes(btf, path);
  const layouts: Record<string, StructLayout> = {};
  for (const [name, at] of types.named(names, false)) {
    const offsets: Record<string, number> = {};
    types.members(at, 0, offsets, new Set(), 0);
    layouts[name] = { size: types.u32(at + 8), offsets };
  }
  return layouts;
}

/** The types of one BTF blob, each where it starts in the bytes. */
export class BtfTypes {
  private readonly view: DataView;
  private readonly little: boolean;
  private readonly start: number;
  private readonly end: number;
  private readonly strings: number;
  private readonly stringsEnd: number;
  /** Where each type starts, by id, which counts from 1; made when a member's type is asked for. */
  private places: number[] | undefined;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly path: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < 24) this.fail(0, 'too short for a header');
    this.little = this.view.getUint16(0, true) === MAGIC;
    if (!this.little && this.view.getUint16(0, false) !== MAGIC) this.fail(0, 'no BTF magic');
    const base = this.u32(4);
    this.start = base + this.u32(8);
    this.end = this.start + this.u32(12);
    this.strings = base + this.u32(16);
    this.stringsEnd = this.strings + this.u32(20);
    if (this.end > bytes.length || this.stringsEnd > bytes.length) this.fail(8, 'types or strings lie past the end');
    if (this.strings < this.stringsEnd && bytes[this.strings] !== 0) this.split(this.strings);
  }

  u32(at: number): number {
    return this.view.getUint32(at, this.little);
  }

  /** The first definition of each named struct (with `unions`, also union): where it starts. */
  named(names: readonly string[], unions: boolean): Map<string, number> {
    const wanted = new Set(names);
    const found = new Map<string, number>();
    for (const at of this.walk()) {
      const kind = this.kind(at);
      if (kind !== STRUCT && !(unions && kind === UNION)) continue;
      const name = this.name(at);
      if (wanted.has(name) && !found.has(name)) found.set(name, at);
    }
    return found;
  }

  /** Adds the members of the struct at `at`, which itself starts at byte `base` of the outermost one. */
  members(at: number, base: number, offsets: Record<string, number>, seen: Set<number>, depth: number): void {
    if (depth > DEEPEST) this.fail(at, `more than ${DEEPEST} anonymous structs lie in one another`);
    const withBitfields = this.u32(at + 4) >>> 31 === 1;
    const count = this.u32(at + 4) & 0xffff;
    for (let i = 0, member = at + TYPE_HEAD; i < count; i++, member += MEMBER) {
      const where = this.u32(member + 8);
      const bits = withBitfields ? where & 0xffffff : where;
      if ((withBitfields && where >>> 24 !== 0) || bits % 8 !== 0) continue;
      const name = this.name(member);
      if (name !== '') offsets[name] ??= base + bits / 8;
      else this.nested(this.u32(member + 4), base + bits / 8, offsets, seen, depth);
    }
  }

  /** Each anonymous type once: C allows no two members of one name, and damaged types that hold themselves come to an end. */
  private nested(id: number, base: number, offsets: Record<string, number>, seen: Set<number>, depth: number): void {
    const at = this.at(id);
    if (at === undefined || seen.has(id) || (this.kind(at) !== STRUCT && this.kind(at) !== UNION)) return;
    this.members(at, base, offsets, seen.add(id), depth + 1);
  }

  /** Where the type of an id starts; undefined for 0, which is void, and for what there is not. */
  at(id: number): number | undefined {
    this.places ??= [...this.walk()];
    return this.places[id - 1];
  }

  kind(at: number): number {
    return (this.u32(at + 4) >>> 24) & 0x1f;
  }

  /** Where each type starts, in order; each lies within the types as a whole. */
  *walk(): Generator<number> {
    for (let at = this.start; at + TYPE_HEAD <= this.end; ) {
      const kind = this.kind(at);
      if (kind === 0 || kind > KNOWN_KINDS) this.fail(at, `kind ${kind} of a type is not known`);
      const next = at + TYPE_HEAD + (FIXED[kind] ?? 0) + (EACH[kind] ?? 0) * (this.u32(at + 4) & 0xffff);
      if (next > this.end) this.fail(at, 'a type runs past the end');
      yield at;
      at = next;
    }
  }

  /** The name at a type's or member's first word. */
  name(at: number): string {
    const start = this.strings + this.u32(at);
    if (start >= this.stringsEnd) {
      if (this.u32(at) === 0) return '';
      this.split(at);
    }
    let end = start;
    while (end < this.stringsEnd && this.bytes[end] !== 0) end++;
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, end - start).toString('latin1');
  }

  /** A module's BTF goes on where the kernel's ends: its type ids and names mean nothing without that. */
  private split(offset: Offset): never {
    this.fail(offset, 'names lie outside its own strings: it is the split BTF of a module, or damaged', 'no-btf');
  }

  private fail(offset: Offset, expected: string, code: DiagnosticCode = 'malformed-elf'): never {
    throw new KlpflowError(code, `${this.path}: BTF at ${offset}: ${expected}`, { object: this.path, offset });
  }
}
