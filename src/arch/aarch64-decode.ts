import { ADR_PREL_LO21, CALL26, CONDBR19, JUMP26, LD_PREL_LO19, TSTBR14 } from './aarch64-relocations';
import type { Instruction } from './instructions';
import { wordAt } from './plain';

export const NOP = 0xd503201f;
const BRK = 0xd4200000;

/** An instruction that names a place by its distance. */
interface Form {
  mask: number;
  value: number;
  /** The bits of the distance. */
  distance: number;
  /** The relocation that says the same. */
  type: number;
  branch: boolean;
}

const IMM26 = 0x03ffffff;
const IMM19 = 0x00ffffe0;
const IMM14 = 0x0007ffe0;
const IMM21 = 0x60ffffe0;

/** All that the assembler resolves within a section: branches, `adr`, loads of literals (Arm ARM, "C4.1 A64 instruction set encoding"). */
const FORMS: readonly Form[] = [
  { mask: 0xfc000000, value: 0x14000000, distance: IMM26, type: JUMP26, branch: true },
  { mask: 0xfc000000, value: 0x94000000, distance: IMM26, type: CALL26, branch: true },
  { mask: 0xff000000, value: 0x54000000, distance: IMM19, type: CONDBR19, branch: true },
  { mask: 0x7e000000, value: 0x34000000, distance: IMM19, type: CONDBR19, branch: true },
  { mask: 0x7e000000, value: 0x36000000, distance: IMM14, type: TSTBR14, branch: true },
  { mask: 0x9f000000, value: 0x10000000, distance: IMM21, type: ADR_PREL_LO21, branch: false },
  { mask: 0x3b000000, value: 0x18000000, distance: IMM19, type: LD_PREL_LO19, branch: false },
];

/** The form of an instruction that reaches a place by a distance; undefined for all others. */
export function formOf(word: number): Form | undefined {
  return FORMS.find(({ mask, value }) => (word & mask) >>> 0 === value);
}

/** How far from itself an instruction of a form reaches, in bytes. */
export function distanceOf(word: number, { distance }: Form): number {
  switch (distance) {
    case IMM26:
      return ((word << 6) >> 6) * 4;
    case IMM14:
      return ((word << 13) >> 18) * 4;
    case IMM21:
      return (((word << 8) >> 13) << 2) | ((word >>> 29) & 3);
    default:
      return ((word << 8) >> 13) * 4;
  }
}

/** `br`, `blr`, `ret`, `eret` and their kin with pointer authentication. */
function isIndirect(word: number): boolean {
  return (word & 0xfe000000) >>> 0 === 0xd6000000;
}

/** Direct calls that return, and everything that leaves for good, do not run on. */
function runsOn(word: number, form: Form | undefined): boolean {
  if (form?.type === JUMP26 || form?.type === CALL26 || isIndirect(word)) return false;
  // `brk` and `udf` trap.
  return (word & 0xffe0001f) >>> 0 !== BRK && word >>> 16 !== 0;
}

/** Code, a word an instruction. What is left of a word is one of its own length. */
export function decodeWords(bytes: Uint8Array): Instruction[] {
  const list: Instruction[] = [];
  for (let offset = 0; offset < bytes.length; offset += 4) {
    const word = wordAt(bytes, offset);
    const form = word < 0 ? undefined : formOf(word);
    const to = form === undefined ? undefined : offset + distanceOf(word, form);
    list.push({
      offset,
      length: Math.min(4, bytes.length - offset),
      target: form?.branch === true ? to : undefined,
      memory: form?.branch === false ? to : undefined,
      // A distance has no bytes of its own: what else is in the word is `branch`.
      opcodeLength: form === undefined ? 4 : 0,
      branch: form === undefined ? 0 : (word & ~form.distance) >>> 0,
      flow: form?.branch === true || isIndirect(word),
      runsOn: word >= 0 && runsOn(word, form),
      padding: word === NOP,
      invalid: word < 0,
    });
  }
  return list;
}
