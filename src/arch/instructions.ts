/** One decoded instruction, as far as comparing needs it. Offsets are within the decoded bytes. */
export interface Instruction {
  offset: number;
  length: number;
  /** Direct branch or call without looking at relocations: its target, from the start of the decoded bytes; may be negative. */
  target: number | undefined;
  /** Bytes before the immediate or branch displacement; equals length where there is none. */
  opcodeLength: number;
  invalid: boolean;
}

/** Decodes machine code of one processor. Loading it may be costly, so it is made only where bytes differ. */
export interface Disassembler {
  decode(bytes: Uint8Array): Instruction[];
  /** One instruction in the kernel's usual syntax, without symbol names. */
  format(bytes: Uint8Array, offset: number): string;
  /** Whether two encodings differ in nothing but a source line that a reporting call gets (`mov $line,%esi`). */
  isLineLoad(a: Uint8Array, b: Uint8Array): boolean;
}

/** Functions that take a source line as their second or third argument; a load before such a call carries no meaning. */
export function reportsLine(callee: string): boolean {
  return LINE_REPORTERS.has(callee) || callee.startsWith('warn_slowpath_');
}

const LINE_REPORTERS = new Set([
  '__warn_printk', '__might_sleep', '___might_sleep', '__might_fault', 'printk', '_printk', 'lockdep_rcu_suspicious',
  '__btrfs_abort_transaction', '__btrfs_handle_fs_error', '__btrfs_panic',
]);
