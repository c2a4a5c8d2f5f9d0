import type { Offset } from '../elf';
import { wordAt } from '../arch';
import {
  ADR_PREL_PG_HI21 as ADRP,
  JUMP26,
  LDST32_ABS_LO12_NC as LDST32,
  LDST64_ABS_LO12_NC as LDST64,
} from '../arch/aarch64-relocations';
import type { LoadInstead, VariableField } from './load-instead';

const NOP = 0xd503201f;
const B = 0x14000000;
/** `movz xD, #0xcdef; movk xD, #0x89ab, lsl #16; movk xD, #0x4567, lsl #32; movk xD, #0x123, lsl #48` (asm/runtime-const.h). */
const POINTER = [0xd299bde0, 0xf2b13560, 0xf2c8ace0, 0xf2e02460];
/** `lsr wD, wS, #12`, and `ubfx wD, wS, #0, #32`. */
const SHIFT = 0x530c7c00;
const MASK = 0x53007c00;
/** `lsrv wD, wN, wM`, `and wD, wN, wM`. */
const LSRV = 0x1ac02400;
const AND = 0x0a000000;
/** The zero register, or the stack pointer: nothing is loaded into it. */
const NONE = 31;
const SPARE = 16;

type Instruction = { offset: Offset; length: number };

/** A table's entry names the first instruction of a constant, not a field in it. */
export const AARCH64_REWRITES = {
  ptr: loadPointer,
  shift: (code: Uint8Array, _instruction: Instruction, site: number) => applyVariable(code, site, SHIFT, LSRV),
  mask: (code: Uint8Array, _instruction: Instruction, site: number) => applyVariable(code, site, MASK, AND),
};

/** Four instructions that make a number become two that load it, and two that do nothing. */
function loadPointer(code: Uint8Array, _instruction: Instruction, site: number): LoadInstead | undefined {
  const words = POINTER.map((_, i) => wordAt(code, site + i * 4));
  const register = words[0]! & 31;
  if (register === NONE || words.some((word, i) => word !== (POINTER[i]! | register) >>> 0)) return undefined;
  return {
    bytes: bytesOf([0x90000000 | register, 0xf9400000 | (register << 5) | register, NOP, NOP]),
    fields: fieldsOf(0, LDST64),
    size: 8,
  };
}

/**
 * One instruction has no room for a load: it becomes a branch. The result's register may hold the variable meanwhile where it is not the one that
 * is worked on; else a register is saved for that time. Flags stay as they are; a shift takes its count modulo 32, as the number of five bits does that boot writes.
 */
function applyVariable(
  code: Uint8Array,
  site: number,
  placeholder: number,
  operation: number,
): LoadInstead | undefined {
  const word = wordAt(code, site);
  const [to, from] = [word & 31, (word >>> 5) & 31];
  if (to === NONE || from === NONE || word !== (placeholder | (from << 5) | to) >>> 0) return undefined;
  const spare = to !== from ? to : to === SPARE ? SPARE + 1 : SPARE;
  const load = [0x90000000 | spare, 0xb9400000 | (spare << 5) | spare, operation | (spare << 16) | (from << 5) | to];
  const saved = to === from;
  // `str xN, [sp, #-16]!` and `ldr xN, [sp], #16`.
  const aside = saved ? [0xf81f0fe0 | spare, ...load, 0xf84107e0 | spare, B] : [...load, B];
  return {
    bytes: bytesOf([B]),
    fields: [],
    size: 4,
    aside: { bytes: bytesOf(aside), fields: fieldsOf(saved ? 4 : 0, LDST32), branch: JUMP26 },
  };
}

function fieldsOf(at: number, load: number): VariableField[] {
  return [
    { at, type: ADRP, addend: 0 },
    { at: at + 4, type: load, addend: 0 },
  ];
}

function bytesOf(words: readonly number[]): number[] {
  return words.flatMap((word) => [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24]);
}
