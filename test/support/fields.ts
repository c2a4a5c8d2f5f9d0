import {
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_NONE,
  R_X86_64_PC32,
  R_X86_64_PC64,
  R_X86_64_PLT32,
} from '../../src/elf/constants';

/**
 * What a relocation refers to: a symbol by name (of the same FILE, else a global, else the section of that name,
 * else undefined), a string that is added to its string section, or a section symbol.
 */
export type Target = string | StringTarget | { section: string };

/** `unit` is the character width in bytes; default section `.rodata.strU.U`. */
export interface StringTarget {
  string: string;
  unit?: 1 | 2 | 4;
  section?: string;
}

/** A relocation stated apart from the bytes it applies to. `addend` is r_addend, plus a string's offset where `sym` is a string. */
export interface RelaSpec {
  off: number;
  type: number;
  sym: Target;
  addend?: number | bigint;
}

/** A number of `width` bytes in the object's byte order, or a relocated field of that width. */
export interface Field {
  width: 1 | 2 | 4 | 8;
  value: number | bigint;
  rela?: { type: number; sym: Target; addend: number | bigint };
}

/** The content of a function, object or table entry: bytes, and fields in between. */
export type Body = ReadonlyArray<number | Uint8Array | Field> | Uint8Array;

export const u16 = (value: number): Field => ({ width: 2, value });
export const u32 = (value: number): Field => ({ width: 4, value });
export const u64 = (value: number | bigint): Field => ({ width: 8, value });

/** Any relocated field. */
export function relocated(width: 4 | 8, type: number, sym: Target, addend: number | bigint = 0, value = 0): Field {
  return { width, value, rela: { type, sym, addend } };
}

/** x86-64 code: the rel32 of a call or jump. The addend counts from the end of the field, where the instruction ends. */
export const plt32 = (sym: Target, plus = 0): Field => relocated(4, R_X86_64_PLT32, sym, plus - 4);
/** x86-64 code: a RIP-relative disp32; `trailing` is the number of immediate bytes behind it. */
export const disp32 = (sym: Target, plus = 0, trailing = 0): Field =>
  relocated(4, R_X86_64_PC32, sym, plus - 4 - trailing);
/** x86-64 code: a sign-extended absolute address. */
export const abs32s = (sym: Target, plus = 0): Field => relocated(4, R_X86_64_32S, sym, plus);
/** x86-64 tables: a distance from the field itself, as most special sections hold it. */
export const ref32 = (sym: Target, plus = 0): Field => relocated(4, R_X86_64_PC32, sym, plus);
export const ref64 = (sym: Target, plus = 0): Field => relocated(8, R_X86_64_PC64, sym, plus);
/** x86-64 data: a pointer. */
export const ptr64 = (sym: Target, plus: number | bigint = 0): Field => relocated(8, R_X86_64_64, sym, plus);

export const ENDBR = hex('f3 0f 1e fa');
/** The 5-byte NOP of an ftrace site, without and with the relocation that names what it was. */
export const FTRACE_NOP = hex('0f 1f 44 00 00');
export const FENTRY_SITE: Body = [0x0f, relocated(4, R_X86_64_NONE, '__fentry__', -4, 0x0000441f)];
/** `jmp __x86_return_thunk` */
export const RETURN: Body = [0xe9, plt32('__x86_return_thunk')];

/** Bytes written as hexadecimal digits; white space is ignored. */
export function hex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits.replace(/\s+/g, ''), 'hex'));
}

/** Several bodies as one. */
export function code(...parts: Array<Body | number | Field>): Body {
  return parts.flatMap((part) => (typeof part === 'number' || !(Symbol.iterator in part) ? [part] : [...part]));
}

export interface Encoded {
  bytes: Uint8Array;
  relas: RelaSpec[];
}

/** The bytes of `body` in the given order of bytes, with its relocations at their offsets. */
export function encode(body: Body, little: boolean): Encoded {
  if (body instanceof Uint8Array) return { bytes: body, relas: [] };
  const size = body.reduce<number>(
    (sum, part) => sum + (typeof part === 'number' ? 1 : part instanceof Uint8Array ? part.length : part.width),
    0,
  );
  const bytes = new Uint8Array(size);
  const relas: RelaSpec[] = [];
  let at = 0;
  for (const part of body) {
    if (typeof part === 'number') bytes[at++] = part;
    else if (part instanceof Uint8Array) {
      bytes.set(part, at);
      at += part.length;
    } else {
      if (part.rela !== undefined) relas.push({ off: at, ...part.rela });
      for (let i = 0; i < part.width; i++)
        bytes[at + (little ? i : part.width - 1 - i)] = Number((BigInt(part.value) >> BigInt(8 * i)) & 0xffn);
      at += part.width;
    }
  }
  return { bytes, relas };
}
