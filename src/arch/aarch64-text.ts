/** A64 instructions as text, in the GNU assembler's syntax: what compilers of kernels write nearly all the time; anything else as a number. */
import { distanceOf, formOf } from './aarch64-decode';
import { dataText } from './aarch64-text-data';
import { memoryText } from './aarch64-text-memory';
import { condition, fields, hex, register } from './aarch64-text-parts';

const HINTS: ReadonlyMap<number, string> = new Map([
  [0xd503201f, 'nop'],
  [0xd503203f, 'yield'],
  [0xd503233f, 'paciasp'],
  [0xd50323bf, 'autiasp'],
  [0xd503237f, 'pacibsp'],
  [0xd50323ff, 'autibsp'],
  [0xd503245f, 'bti c'],
  [0xd503249f, 'bti j'],
  [0xd50324df, 'bti jc'],
  [0xd5033fdf, 'isb'],
  [0xd69f03e0, 'eret'],
]);
/** By the bits of op0 to op2 as `mrs` has them. */
const SYSTEM: ReadonlyMap<number, string> = new Map([
  [0xc208, 'sp_el0'],
  [0xc684, 'tpidr_el1'],
  [0xe682, 'tpidr_el2'],
  [0xde82, 'tpidr_el0'],
  [0xda11, 'daif'],
]);
const BARRIERS: Readonly<Record<number, string>> = { 9: 'ishld', 10: 'ishst', 11: 'ish', 13: 'ld', 14: 'st', 15: 'sy' };

/** The instruction `word`, which stands at `offset`. */
export function textOf(word: number, offset: number): string {
  return (
    HINTS.get(word) ??
    pageText(word, offset) ??
    branchText(word, offset) ??
    systemText(word) ??
    memoryText(word) ??
    dataText(word) ??
    `.inst 0x${word.toString(16).padStart(8, '0')}`
  );
}

function branchText(word: number, offset: number): string | undefined {
  const form = formOf(word);
  const { d, n } = fields(word);
  if (form === undefined) {
    const indirect = ['br', 'blr', 'ret'][(word >>> 21) & 0xf];
    if ((word & 0xfe1ffc1f) >>> 0 !== 0xd61f0000 >>> 0 || indirect === undefined || ((word >>> 21) & 0xf) > 2)
      return undefined;
    return indirect === 'ret' && n === 30 ? 'ret' : `${indirect} ${register(n, true)}`;
  }
  const to = hex(offset + distanceOf(word, form));
  const wide = word >>> 31 === 1;
  switch (word >>> 24) {
    case 0x54:
      return `b.${condition(word & 0xf)} ${to}`;
    case 0x34:
    case 0xb4:
      return `cbz ${register(d, wide)}, ${to}`;
    case 0x35:
    case 0xb5:
      return `cbnz ${register(d, wide)}, ${to}`;
    default:
  }
  if ((word & 0x7e000000) === 0x36000000) {
    const bit = ((word >>> 31) << 5) | ((word >>> 19) & 31);
    return `${(word & 0x01000000) === 0 ? 'tbz' : 'tbnz'} ${register(d, bit > 31)}, #${bit}, ${to}`;
  }
  if ((word & 0x7c000000) === 0x14000000) return `${wide ? 'bl' : 'b'} ${to}`;
  if ((word & 0x1f000000) === 0x10000000) return `adr ${register(d, true)}, ${to}`;
  // Vectors and prefetches.
  if ((word & 0x04000000) !== 0 || word >>> 30 === 3) return undefined;
  return `${word >>> 30 === 2 ? 'ldrsw' : 'ldr'} ${register(d, word >>> 30 !== 0)}, ${to}`;
}

/** The page of a place; with a relocation the name behind it says which. */
function pageText(word: number, offset: number): string | undefined {
  if ((word & 0x9f000000) >>> 0 !== 0x90000000) return undefined;
  const pages = (((word << 8) >> 13) << 2) | ((word >>> 29) & 3);
  return `adrp ${register(word & 31, true)}, ${hex(offset - (offset & 0xfff) + pages * 4096)}`;
}

function systemText(word: number): string | undefined {
  const { d } = fields(word);
  if ((word & 0xffe0001f) >>> 0 === 0xd4200000) return `brk #${hex((word >>> 5) & 0xffff)}`;
  if ((word & 0xffe0001f) >>> 0 === 0xd4000001) return `svc #${hex((word >>> 5) & 0xffff)}`;
  if (word >>> 16 === 0) return `udf #${word}`;
  const barrier = BARRIERS[(word >>> 8) & 0xf];
  if ((word & 0xfffff0ff) >>> 0 === 0xd50330bf && barrier !== undefined) return `dmb ${barrier}`;
  if ((word & 0xfffff0ff) >>> 0 === 0xd503309f && barrier !== undefined) return `dsb ${barrier}`;
  if ((word & 0xffd00000) >>> 0 !== 0xd5100000) return undefined;
  const name = SYSTEM.get((word >>> 5) & 0xffff);
  if (name === undefined) return undefined;
  return (word & 0x00200000) !== 0 ? `mrs ${register(d, true)}, ${name}` : `msr ${name}, ${register(d, true)}`;
}
