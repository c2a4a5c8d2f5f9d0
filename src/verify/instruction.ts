/** A part of an instruction that a relocation can fill: bytes from the instruction's start. */
export interface OperandField {
  at: number;
  size: number;
  /** `relative` counts from the instruction's end (branches, RIP-relative memory); the others are taken as they are. */
  kind: 'branch' | 'relative' | 'displacement' | 'immediate';
}

export interface Instruction {
  /** Bytes from the section's start. */
  offset: number;
  length: number;
  kind: 'call' | 'jump' | 'conditional' | 'undefined' | 'nop' | 'padding' | 'endbr' | 'invalid' | 'data' | 'other';
  fields: readonly OperandField[];
  /** Where a direct branch without relocation leads, bytes from the section's start. */
  target: number | undefined;
  /** Reads or writes memory at the address that its displacement says, with no register added but RIP. */
  fixedAccess: boolean;
  /** Bytes that the memory operand has; 0 where it has none, or only forms an address. */
  accessSize: number;
  /** The memory operand adds a register (an index, a base) to its displacement. */
  indexed: boolean;
  /** Stores to its memory operand, always or on a condition. */
  writes: boolean;
  lock: boolean;
}
