/** Which field of which type stands at a byte of a variable, and what its bytes mean. */
import type { Offset } from '../elf';
import { BtfTypes } from './btf';

const INT = 1;
const POINTER = 2;
const ARRAY = 3;
const STRUCT = 4;
const UNION = 5;
const ENUM = 6;
const TYPEDEF = 8;
const VAR = 14;
const ENUM64 = 19;
/** Typedef, volatile, const, restrict, type tag: names for what they lead to. */
const THROUGH = new Set([TYPEDEF, 9, 10, 11, 18]);
const HEAD = 12;
const SIGNED = 1;
const CHAR = 2;
const BOOL = 4;
/** Types within types; damaged ones that hold themselves come to an end. */
const DEEPEST = 64;
const POINTER_BYTES = 8;

/** A field that has no parts, or whose parts overlap (a union). */
export interface Field {
  /** `struct tcp_metrics.limits[2].max`. */
  path: string;
  /** `u32`, `enum state`, `struct sock *`. */
  type: string;
  offset: Offset;
  size: number;
  /** Of a bit-field, from its first byte's lowest bit. */
  bits: { from: number; count: number } | null;
  at: number;
}

/** The fields that are looked for, and those that were found. */
interface Wanted {
  from: Offset;
  to: Offset;
  found: Field[];
}

export class BtfFields {
  private readonly types: BtfTypes;
  private variables: Map<string, number | null> | undefined;

  constructor(
    bytes: Uint8Array,
    path: string,
    private readonly little: boolean,
  ) {
    this.types = new BtfTypes(bytes, path);
  }

  /** The type of a variable of this name and size, or of its elements, which is that struct. Undefined where nothing tells. */
  typeOf(name: string, size: number, struct: string | undefined): number | undefined {
    const declared = this.declared(name);
    if (declared !== undefined && this.size(declared, 0) === size) return declared;
    if (struct === undefined) return undefined;
    const at = this.types.named([struct], false).get(struct);
    const each = at === undefined ? 0 : this.types.u32(at + 8);
    return each > 0 && size % each === 0 ? at : undefined;
  }

  /** The fields of a variable of this type that have bytes in [from, to), in order. */
  within(type: number, size: number, from: Offset, to: Offset): Field[] {
    const found: Field[] = [];
    const into = { from, to, found };
    const each = this.size(type, 0);
    if (each === 0) return found;
    const { at, called } = this.plain(type);
    if (each === size) this.add(into, type, this.nameOf(at, called), 0, 0);
    else
      for (let i = Math.floor(from / each); i * each < Math.min(to, size); i++)
        this.add(into, type, `${this.nameOf(at, called)}[${i}]`, i * each, 0);
    return found;
  }

  /** What a field's bytes mean; undefined where they mean nothing but themselves. */
  value({ at, type, size, bits }: Field, bytes: Uint8Array): string | undefined {
    if (size > 8 || bytes.length < size) return undefined;
    let raw = 0n;
    for (let i = 0; i < size; i++) raw = (raw << 8n) | BigInt(bytes[this.little ? size - 1 - i : i]!);
    const width = bits?.count ?? size * 8;
    if (bits !== null) raw >>= BigInt(this.little ? bits.from : size * 8 - bits.from - bits.count);
    const unsigned = BigInt.asUintN(width, raw);
    const kind = this.types.kind(at);
    if (kind === ENUM || kind === ENUM64) return this.enumerator(at, kind, unsigned, width);
    if (kind !== INT) return undefined;
    const encoding = (this.types.u32(at + HEAD) >>> 24) & 0xf;
    if ((encoding & BOOL) !== 0 && unsigned < 2n) return unsigned === 1n ? 'true' : 'false';
    // A byte that is a number has CHAR, too, and is called u8.
    if ((encoding & CHAR) !== 0 && type === 'char' && unsigned >= 0x20n && unsigned < 0x7fn)
      return JSON.stringify(String.fromCharCode(Number(unsigned)));
    return String((encoding & SIGNED) !== 0 ? BigInt.asIntN(width, raw) : unsigned);
  }

  private enumerator(at: number, kind: number, value: bigint, width: number): string {
    const each = kind === ENUM ? 8 : 12;
    const count = this.types.u32(at + 4) & 0xffff;
    for (let i = 0, entry = at + HEAD; i < count; i++, entry += each) {
      const low = BigInt(this.types.u32(entry + 4));
      const own = kind === ENUM ? low : low | (BigInt(this.types.u32(entry + 8)) << 32n);
      if (BigInt.asUintN(width, own) === value) return `${this.types.name(entry)} (${value})`;
    }
    return String(value);
  }

  private add(into: Wanted, type: number, path: string, offset: Offset, depth: number): void {
    const { types } = this;
    const { from, to, found } = into;
    const { at, called } = this.plain(type);
    const size = this.size(at, 0);
    if (depth > DEEPEST || size === 0 || offset >= to || offset + size <= from) return;
    const kind = types.kind(at);
    if (kind === STRUCT) {
      const withBits = types.u32(at + 4) >>> 31 === 1;
      const count = types.u32(at + 4) & 0xffff;
      for (let i = 0, member = at + HEAD; i < count; i++, member += HEAD) {
        const where = types.u32(member + 8);
        const [position, width] = withBits ? [where & 0xffffff, where >>> 24] : [where, 0];
        const target = types.at(types.u32(member + 4));
        if (target === undefined) continue;
        const name = types.name(member);
        const inner = name === '' ? path : `${path}.${name}`;
        if (width > 0) this.addBits(into, target, inner, offset, { position, count: width });
        else this.add(into, target, inner, offset + position / 8, depth + 1);
      }
    } else if (kind === ARRAY) {
      const element = types.at(types.u32(at + HEAD));
      const each = element === undefined ? 0 : this.size(element, 0);
      for (let i = each === 0 ? Infinity : Math.max(0, Math.floor((from - offset) / each)); i * each < size; i++) {
        if (offset + i * each >= to) break;
        this.add(into, element!, `${path}[${i}]`, offset + i * each, depth + 1);
      }
    } else found.push({ path, type: this.nameOf(at, called), offset, size, bits: null, at });
  }

  /** `position` is in bits from the struct's start, which is at byte `base`. */
  private addBits(
    { from, to, found }: Wanted,
    type: number,
    path: string,
    base: Offset,
    { position, count }: { position: number; count: number },
  ): void {
    const { at, called } = this.plain(type);
    const first = Math.floor(position / 8);
    const size = Math.ceil((position + count) / 8) - first;
    if (base + first >= to || base + first + size <= from) return;
    const bits = { from: position - first * 8, count };
    found.push({ path, type: `${this.nameOf(at, called)}:${count}`, offset: base + first, size, bits, at });
  }

  /** Bytes of a type; 0 where it has none, or is damaged. */
  private size(type: number, depth: number): number {
    const { types } = this;
    const { at } = this.plain(type);
    const kind = types.kind(at);
    if (kind === POINTER) return POINTER_BYTES;
    if (kind === INT || kind === STRUCT || kind === UNION || kind === ENUM || kind === 16 || kind === ENUM64)
      return types.u32(at + 8);
    const element = kind === ARRAY && depth < DEEPEST ? types.at(types.u32(at + HEAD)) : undefined;
    return element === undefined ? 0 : this.size(element, depth + 1) * types.u32(at + HEAD + 8);
  }

  /** What stands behind typedefs and qualifiers, and the first typedef's name. */
  private plain(type: number): { at: number; called: string } {
    let [at, called] = [type, ''];
    for (let i = 0; i < DEEPEST && THROUGH.has(this.types.kind(at)); i++) {
      if (this.types.kind(at) === TYPEDEF && called === '') called = this.types.name(at);
      const next = this.types.at(this.types.u32(at + 8));
      if (next === undefined) break;
      at = next;
    }
    return { at, called };
  }

  /** An array is called what its elements are. */
  private nameOf(at: number, called: string, depth = 0): string {
    const { types } = this;
    const kind = types.kind(at);
    if (kind === POINTER) {
      const to = types.at(types.u32(at + 8));
      const target = to === undefined ? undefined : this.plain(to);
      return target === undefined || depth > DEEPEST
        ? 'void *'
        : `${this.nameOf(target.at, target.called, depth + 1)} *`;
    }
    if (called !== '') return called;
    const element = kind === ARRAY ? types.at(types.u32(at + HEAD)) : undefined;
    if (element !== undefined && depth < DEEPEST) {
      const inner = this.plain(element);
      return this.nameOf(inner.at, inner.called, depth + 1);
    }
    const name = types.name(at);
    const word = kind === STRUCT ? 'struct' : kind === UNION ? 'union' : kind === ENUM || kind === ENUM64 ? 'enum' : '';
    return [word, name].filter(Boolean).join(' ') || 'a function';
  }

  /** Variables that the types name: per-CPU ones of a kernel, all of an object. One name for two types tells nothing. */
  private declared(name: string): number | undefined {
    if (this.variables === undefined) {
      this.variables = new Map();
      for (const at of this.types.walk()) {
        if (this.types.kind(at) !== VAR) continue;
        const own = this.types.name(at);
        const type = this.types.at(this.types.u32(at + 8)) ?? null;
        this.variables.set(own, this.variables.has(own) && this.variables.get(own) !== type ? null : type);
      }
    }
    return this.variables.get(name) ?? undefined;
  }
}
