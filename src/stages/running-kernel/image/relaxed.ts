import type { Instruction } from '../../../arch';

/** A branch that the image has in its short form, so that all behind it stands nearer. */
export interface Shortened {
  /** Of its instruction and of the end of that in ORIG, from the section's start. */
  at: number;
  end: number;
  /** Field of the relocation that ORIG has; -1 of a branch within the function. */
  field: number;
  /** How far what follows is moved, all in all. */
  shift: number;
}

/** Code of one function, decoded from where both begin. */
export interface Decoded {
  bytes: Uint8Array;
  instructions: readonly Instruction[];
}

/** ORIG's, with what a linker writes and relocations say. */
export interface OwnCode extends Decoded {
  /** From the section's start. */
  start: number;
  /** 1 for each byte that linking writes. */
  linked: Uint8Array;
  /** Fields of branches to other functions, by where their instructions begin; from the section's start, both. */
  branches: ReadonlyMap<number, number>;
}

/** Opcode and distance. */
export const SHORT = 2;

/** Where two codes part: an offset of ORIG's section, and how far theirs is moved there. */
export interface Parting {
  at: number;
  shift: number;
}

/**
 * Whether two codes are one, but for what the assembler of the kernel's unit knew to be near: a branch to a function next to this one is short there
 * (`tipc_eth_msg2addr`), which in a section for each function it never is. Then each branch over it leads less far (`event_enable_count_probe` of
 * 6.1: +0x3c, not +0x3f), and may be short for that. Where such a branch leads is compared by instruction, not by distance.
 * @returns what is shorter in theirs, or where they are two
 */
export function relaxed(own: OwnCode, theirs: Decoded): Shortened[] | Parting {
  const found: Shortened[] = [];
  /** Where each instruction of ORIG begins in theirs. */
  const places = new Map<number, number>();
  const within: Array<readonly [own: Instruction, theirs: Instruction]> = [];
  let shift = 0;
  for (const [i, one] of own.instructions.entries()) {
    const other = theirs.instructions[i];
    const at = own.start + one.offset;
    if (other === undefined || other.offset !== one.offset + shift) return { at, shift };
    places.set(one.offset, other.offset);
    const field = own.branches.get(at) ?? -1;
    const isWithin = one.target !== undefined && !hasLinked(own, one);
    if (one.length !== other.length) {
      const isBranch = one.branch !== 0 && one.branch === other.branch && other.length === SHORT;
      if (!isBranch || one.length < SHORT || (field < 0 && !isWithin)) return { at, shift };
      shift += SHORT - one.length;
      found.push({ at, end: at + one.length, field, shift });
    } else {
      // Of a branch that leads elsewhere within the function only the distance may differ.
      const compared = isWithin ? one.opcodeLength : one.length;
      const differs = differenceOf(own, one, theirs.bytes, other, compared);
      if (differs >= 0) return { at: at + differs, shift };
    }
    if (isWithin) within.push([one, other]);
  }
  const end = own.bytes.length;
  places.set(end, end + shift);
  for (const [one, other] of within)
    if (places.get(one.target!) !== other.target && !isSame(own, one, theirs, other))
      return { at: own.start + one.offset, shift: other.offset - one.offset };
  return found;
}

/** A byte for byte equal branch, where nothing says what it leads to (out of what was decoded). */
function isSame(own: OwnCode, one: Instruction, theirs: Decoded, other: Instruction): boolean {
  const inside = one.target! >= 0 && one.target! <= own.bytes.length;
  return !inside && one.length === other.length && differenceOf(own, one, theirs.bytes, other, one.length) < 0;
}

function hasLinked({ linked }: OwnCode, { offset, length }: Instruction): boolean {
  for (let at = offset; at < offset + length; at++) if (linked[at] === 1) return true;
  return false;
}

/** The first byte that differs and that no linking wrote; -1 for none. */
function differenceOf(own: OwnCode, one: Instruction, theirs: Uint8Array, other: Instruction, length: number): number {
  for (let i = 0; i < length; i++)
    if (own.linked[one.offset + i] !== 1 && own.bytes[one.offset + i] !== theirs[other.offset + i]) return i;
  return -1;
}
