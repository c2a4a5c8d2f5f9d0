import type { Access, AddressQuery, Kept } from './addresses';
import type { Step } from './flow';

/** One decoded instruction, as far as comparing needs it. Offsets are within the decoded bytes. */
export interface Instruction {
  offset: number;
  length: number;
  /** Direct branch or call without looking at relocations: its target, from the start of the decoded bytes; may be negative. */
  target: number | undefined;
  /** What a memory operand relative to the instruction's end names, likewise. */
  memory: number | undefined;
  /** Bytes before the immediate or branch displacement; equals length where there is none. */
  opcodeLength: number;
  /**
   * Of a direct branch: a number for what it is and tests, however its distance is encoded; where a distance is bits of a word, of everything
   * that holds one. 0 for others, and where that is not known.
   */
  branch: number;
  /** Control may leave here: any branch, call or return. */
  flow: boolean;
  /** Control may go on to the instruction behind it, other than by returning from a call; false where that is not known. */
  runsOn: boolean;
  /** Does nothing: a NOP of any length, or the INT3 that fills gaps. */
  padding: boolean;
  invalid: boolean;
}

/** Arguments count from 1. */
export interface ConstantArgument {
  argument: number;
  value: number;
}

/** Decodes machine code of one processor. Loading it may be costly, so it is made only where bytes differ. */
export interface Disassembler {
  decode(bytes: Uint8Array): Instruction[];
  /** What the instructions do with pointers; undefined where nothing here knows. */
  steps?(bytes: Uint8Array): Step[];
  /** One instruction in the kernel's usual syntax, without symbol names. */
  format(bytes: Uint8Array, offset: number): string;
  /** Which argument of a call an instruction loads with a constant (`mov $line,%esi`), and the constant; undefined for others. */
  constantArgument(instruction: Uint8Array): ConstantArgument | undefined;
  /** Which argument an instruction loads with an address or a constant (`mov $format,%rdi`, `lea format(%rip),%rdi`); 0 where it loads none or that is not known. */
  filledArgument(instruction: Uint8Array): number;
  /** What an instruction stores in a variable of one byte that it names by itself: a constant, or 0 and 1 where it stores a condition; nothing where that is not known. */
  storedByte(instruction: Uint8Array): number[];
  /** What code does with the variable that its field names. */
  access(code: Uint8Array, field: number): Access;
  /** Where code leaves addresses that it takes. */
  kept(code: Uint8Array, query: AddressQuery): Kept[];
}
