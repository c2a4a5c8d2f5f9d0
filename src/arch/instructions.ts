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
  /** Control may leave here: any branch, call or return. */
  flow: boolean;
  /** Control may go on to the instruction behind it, other than by returning from a call; false where that is not known. */
  runsOn: boolean;
  /** Does nothing: a NOP of any length, or the INT3 that fills gaps. */
  padding: boolean;
  invalid: boolean;
}

/** Decodes machine code of one processor. Loading it may be costly, so it is made only where bytes differ. */
export interface Disassembler {
  decode(bytes: Uint8Array): Instruction[];
  /** One instruction in the kernel's usual syntax, without symbol names. */
  format(bytes: Uint8Array, offset: number): string;
  /** The argument (2 or 3) that two encodings load with different constants and nothing else (`mov $line,%esi`), 0 if they do not. */
  loadedArgument(a: Uint8Array, b: Uint8Array): number;
}

/** Functions that take a source line, and as which argument. Never one that takes any value there, like printk. */
const LINE_ARGUMENTS: Readonly<Record<string, number>> = {
  __might_sleep: 2, ___might_sleep: 2, __might_fault: 2, lockdep_rcu_suspicious: 2,
  __btrfs_abort_transaction: 3, __btrfs_handle_fs_error: 3, __btrfs_panic: 3,
};

/** Which argument of `callee` is a source line; 0 if none. `warn_slowpath_fmt(file, line, ...)` and its kin take it second. */
export function lineArgument(callee: string): number {
  return LINE_ARGUMENTS[callee] ?? (callee.startsWith('warn_slowpath_') ? 2 : 0);
}

/** Functions that take a format and any values behind it. */
export function printsValues(callee: string): boolean {
  return callee === '__warn_printk' || callee === 'printk' || callee === '_printk';
}
