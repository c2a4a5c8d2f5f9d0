import { R_X86_64_GOTPCRELX, R_X86_64_PLT32 } from '../elf';
import type { FieldReference } from './arch';

/** `call *x(%rip)` and `jmp *x(%rip)`: opcode, then ModRM. */
const INDIRECT = 0xff;
const CALL_MODRM = 0x15;
const JUMP_MODRM = 0x25;
const CALL = 0xe8;
const JUMP = 0xe9;
const NOP = 0x90;

/** Bytes of both forms; the field is the last 4 of the one, and the nop stands behind it in the other. */
const OPCODE = 2;
const FIELD = 4;

/**
 * Turns a branch through the GOT (-fPIE, -fno-plt) into a direct one, as linkers do: a module has no GOT. The nop goes behind the branch and not, as
 * ld's `addr32` does, before it: a call of __fentry__ has to have the five bytes that ftrace expects. Loads (`mov x@GOTPCREL(%rip), %reg`) stay
 * as they are and are refused: what they hand on is an address, which was looked at as if it were memory that is read.
 *
 * @param bytes code that is changed
 * @param at offset of the field in it
 * @returns the reference of the direct branch; undefined where there is none to make
 */
export function withoutGot<T extends FieldReference>(bytes: Uint8Array, at: number, reference: T): T | undefined {
  const { field, type, addend } = reference;
  if (
    type !== R_X86_64_GOTPCRELX ||
    addend !== -FIELD ||
    at < OPCODE ||
    at + FIELD > bytes.length ||
    bytes[at - OPCODE] !== INDIRECT
  )
    return undefined;
  const modrm = bytes[at - 1];
  if (modrm !== CALL_MODRM && modrm !== JUMP_MODRM) return undefined;
  bytes.set([modrm === CALL_MODRM ? CALL : JUMP, 0, 0, 0, 0, NOP], at - OPCODE);
  return { ...reference, field: field - 1, type: R_X86_64_PLT32 };
}
