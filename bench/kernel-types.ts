/** Raw BTF of the structs that a livepatch is made of: a `long` and, at their places in it, what is in each struct. */

import type { KernelStructs } from '../src/livepatch/ko';

/** Structs of a kernel that never was: no member stands where a real kernel has it, so nothing can be right by habit. */
export const STRUCTS: Omit<KernelStructs, 'spare'> = {
  module: { size: 1024, offsets: { name: 24, init: 328, exit: 904 } },
  klp_patch: { size: 256, offsets: { mod: 16, objs: 32, states: 48, replace: 65 } },
  klp_object: { size: 192, offsets: { name: 8, funcs: 24, callbacks: 40 } },
  klp_callbacks: { size: 48, offsets: { pre_patch: 8, post_patch: 16, pre_unpatch: 24, post_unpatch: 32 } },
  klp_func: { size: 176, offsets: { old_name: 16, new_func: 32, old_sympos: 48 } },
  klp_state: { size: 32, offsets: { id: 8, version: 20 } },
};

const MAGIC = 0xeb9f;
const HEADER = 24;
const KIND_INT = 1 << 24;
const KIND_STRUCT = 4 << 24;

export function kernelTypes(): Buffer {
  let strings = '\0';
  const name = (text: string): number => {
    const at = strings.length;
    strings += `${text}\0`;
    return at;
  };
  const words = [name('long'), KIND_INT, 8, 64];
  for (const [struct, { size, offsets }] of Object.entries(STRUCTS)) {
    words.push(name(struct), KIND_STRUCT | Object.keys(offsets).length, size);
    for (const [member, offset] of Object.entries(offsets)) words.push(name(member), 1, offset * 8);
  }
  const types = Buffer.from(Uint32Array.from(words).buffer);
  const header = Buffer.alloc(HEADER);
  header.writeUInt16LE(MAGIC, 0);
  header[2] = 1;
  [HEADER, 0, types.length, types.length, strings.length].forEach((value, i) => header.writeUInt32LE(value, 4 + i * 4));
  return Buffer.concat([header, types, Buffer.from(strings, 'latin1')]);
}
