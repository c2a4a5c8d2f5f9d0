/** Two functions in a section, and what special sections say of them. */
import { BODY, body, movEax } from './diff-objects';
import { hex, object, ref32, ref64, u64, type Field, type ObjectBuilder } from './elf-builder';

export type Entry = Array<number | Uint8Array | Field>;

/** f with `filler` before it in the section's neighbours, and what the special sections say about it. */
export const base = (shift = 0): ObjectBuilder => {
  const builder = object().file('x.c');
  if (shift > 0) builder.func('neighbour', body(movEax(shift)), { section: '.text' });
  return builder
    .data('key', [u64(0), u64(0)])
    .data('key2', [u64(0), u64(0)])
    .func('handler', hex('c3'))
    .func('f', body(movEax(1), hex('90 90 90 90 90'), movEax(2)), { section: '.text' })
    .func('g', body(movEax(3)), { section: '.text' });
};
export const jump = (builder: ObjectBuilder, key = 'key', bits = 0, at = BODY + 5): ObjectBuilder =>
  builder.special('__jump_table', ref32('f', at), ref32('f', at + 5), ref64(key, bits));
