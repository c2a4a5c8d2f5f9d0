/**
 * Two functions of Debian's 6.12 kernel (GCC) that livepatches once went wrong in, each with one byte of an immediate edited: no
 * instruction changes its length, so nothing else moves, and no source tree is needed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ElfObject } from '../../src/elf';
import { unpack } from './corpus';

export const REAL_KERNEL = 'debian-6.12-gcc';

export interface ByteEdit {
  /** Of the file that is written. */
  name: string;
  section: string;
  /** Bytes from the section's start. */
  at: number;
  from: number;
  to: number;
}

/** The mask of the destination register in the interpreter's BPF_OR | BPF_FETCH: r10 becomes r2. */
export const BPF_PROG_RUN: ByteEdit = {
  name: 'bpf',
  section: '.text.___bpf_prog_run',
  at: 0x7b,
  from: 0x0f,
  to: 0x07,
};

/** The mask of a type's kind, in a function that __btf_show_indent is inlined into. */
export const BTF_SHOW_END: ByteEdit = {
  name: 'btf',
  section: '.text.btf_show_end_aggr_type',
  at: 0x57,
  from: 0x1f,
  to: 0x0f,
};

/** ORIG, and a copy of it with one byte edited. */
export function editedObject(
  { name, section, at, from, to }: ByteEdit,
  folder: string,
): { orig: string; patched: string } {
  const { orig } = unpack(REAL_KERNEL, 'cmdline-marker');
  const object = ElfObject.open(orig);
  const target = Array.from({ length: object.sectionCount }, (_, i) => i).filter(
    (i) => i > 0 && object.name(i) === section,
  );
  expect(target).toHaveLength(1);
  const bytes = readFileSync(orig);
  const place = object.offset(target[0]!) + at;
  expect(bytes[place]).toBe(from);
  bytes[place] = to;
  const patched = join(folder, `${name}.o`);
  writeFileSync(patched, bytes);
  return { orig, patched };
}
