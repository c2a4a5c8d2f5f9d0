import { KlpflowError } from '../diagnostics';

/**
 * BTF, the kernel's own type information (include/uapi/linux/btf.h): sizes of structs by name.
 *
 * Header: magic 0xeb9f, u8 version, u8 flags, u32 header length, then u32 offset and length of the types and of the
 * strings. A type is u32 name, u32 info (vlen 0-15, kind 24-28), u32 size or type, then data whose length follows from kind.
 */
const MAGIC = 0xeb9f;
const STRUCT = 4;
const UNION = 5;

/** Bytes behind the 12-byte head of a type, by kind: fixed, or per member. */
const FIXED: Record<number, number> = { 1: 4, 3: 12, 14: 4, 17: 4 };
const EACH: Record<number, number> = { 4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12 };

/** Sizes in bytes of the named structs that `btf` has. @throws KlpflowError `malformed-elf` for damaged BTF */
export function structSizes(btf: Uint8Array, names: readonly string[], path: string): Record<string, number> {
  const view = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
  const fail = (offset: number, expected: string): never => {
    throw new KlpflowError('malformed-elf', `${path}: BTF at ${offset}: ${expected}`, { object: path, offset });
  };
  if (btf.length < 24) fail(0, 'too short for a header');
  const little = view.getUint16(0, true) === MAGIC;
  if (!little && view.getUint16(0, false) !== MAGIC) fail(0, 'no BTF magic');
  const u32 = (at: number): number => view.getUint32(at, little);
  const base = u32(4);
  const types = base + u32(8);
  const typesEnd = types + u32(12);
  const strings = base + u32(16);
  const stringsEnd = strings + u32(20);
  if (typesEnd > btf.length || stringsEnd > btf.length) fail(8, 'types or strings lie past the end');

  const wanted = new Set(names);
  const sizes: Record<string, number> = {};
  for (let at = types; at + 12 <= typesEnd; ) {
    const info = u32(at + 4);
    const kind = (info >>> 24) & 0x1f;
    if (kind === STRUCT || kind === UNION) {
      const name = text(btf, strings + u32(at), stringsEnd);
      if (wanted.has(name)) sizes[name] ??= u32(at + 8);
    }
    at += 12 + (FIXED[kind] ?? 0) + (EACH[kind] ?? 0) * (info & 0xffff);
  }
  return sizes;
}

function text(bytes: Uint8Array, start: number, limit: number): string {
  let end = start;
  while (end < limit && bytes[end] !== 0) end++;
  return Buffer.from(bytes.subarray(start, end)).toString('latin1');
}
