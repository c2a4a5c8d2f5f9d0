/**
 * Slots of the stack frame count as registers: of a frame that %rsp counts from these numbers, by distance, and those of one with a frame
 * pointer above them.
 */
export const STACK_SLOTS = 0x10000;
export const FRAME_SLOTS = 0x20000;

/** What instructions do with pointers, for who follows them: where a value goes, what it is compared with, what is accessed through it. */

/** A sum: registers by a factor each, a constant, and the operand bytes at `field` of the code, which a relocation may fill in (-1: none). */
export interface Term {
  registers: ReadonlyArray<readonly [register: number, factor: number]>;
  constant: number;
  field: number;
  /** Something unknown is added, too. */
  vague?: boolean;
}

/** One instruction. Registers are numbers that mean nothing to who follows them; a slot of the stack frame counts as a register. */
export interface Step {
  offset: number;
  length: number;
  /** Memory that is read or written, but for slots of the frame. */
  accesses: readonly Term[];
  /** What a register becomes; `may`: or it stays what it is (cmov). */
  sets: { register: number; value: Term; may: boolean } | undefined;
  /** Registers that become unknown, besides. */
  loses: readonly number[];
  /** The stack pointer moves: slots that are counted from it are not where they were. */
  moves: boolean;
  /** Two values that are compared, or subtracted from each other. */
  compares: readonly [Term, Term] | undefined;
  /** What is put into memory. */
  stores: Term | undefined;
  /** Registers that a call, or a jump out of the function, hands over. */
  hands: readonly number[];
  /** The register that a return hands back; of a branch, what it would hand back if it left for code that returns (`jmp __x86_return_thunk`). */
  returns: number | undefined;
  /** Where a branch goes within the code, unless a relocation at `branchField` says otherwise. */
  target: number | undefined;
  branchField: number;
  /** Control may go on behind it. */
  runsOn: boolean;
}
