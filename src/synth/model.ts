/**
 * A synthetic kernel's units, as data. They are made on demand from the seed and the unit's number, so that a
 * kernel of any size needs memory for one unit at a time.
 */

/** A function by its unit and its place there. */
export interface FunctionRef {
  unit: number;
  ordinal: number;
}

/** An object by its unit and its place there. */
export interface ObjectRef {
  unit: number;
  index: number;
}

/** What code or data refers to. */
export type Target = { function: FunctionRef } | { object: ObjectRef } | { string: string } | { name: string };

/** One step of a function's body: an instruction or a few that belong together. */
export type Op =
  /** Bytes that refer to nothing. */
  | { kind: 'plain'; bytes: readonly number[] }
  /** mov $value,%esi */
  | { kind: 'immediate'; value: number }
  | { kind: 'call'; target: Target }
  /** lea text(%rip),%rdi */
  | { kind: 'string'; text: string }
  /** mov object+offset(%rip),%rax */
  | { kind: 'load'; object: ObjectRef; offset: number }
  /** movl $value,object+offset(%rip): four bytes of immediate stand behind the displacement */
  | { kind: 'store'; object: ObjectRef; offset: number; value: number }
  /** mov $target,%rdx */
  | { kind: 'address'; target: Target }
  /** A conditional jump to the op `to`, which stands behind; without one to the end. */
  | { kind: 'branch'; opcode: number; to: Op | null }
  /** ud2 with a __bug_table record; `line` counts from the function's first. */
  | { kind: 'bug'; line: number; flags: number }
  /** A NOP that becomes a jump to the end: __jump_table */
  | { kind: 'static-branch'; key: ObjectRef }
  | { kind: 'static-call'; call: number }
  /** A NOP of the replacement's length: .altinstructions. `call` adds a relocated call to the replacement. */
  | { kind: 'alternative'; feature: number; replacement: readonly number[]; call?: string }
  /** mov (%rdi),%eax with an __ex_table record that resumes behind it */
  | { kind: 'user-read' }
  /** movabs $0x123456789abcdef,%r9, an immediate that boot code overwrites: runtime_ptr_USER_PTR_MAX */
  | { kind: 'runtime-constant' };

export interface SynthFunction {
  /** Name without ThinLTO's suffix. */
  name: string;
  /** 'promoted': a static that ThinLTO made global and hidden, with a suffix. */
  scope: 'global' | 'local' | 'promoted';
  /** In `.init.text`, together with all others; else in a section of its own. */
  init: boolean;
  /** Starts with ENDBR64. */
  endbr: boolean;
  /** Its ENDBR64 may be removed at boot: nothing takes its address. */
  sealed: boolean;
  /** Has an ftrace site; out-of-line copies of inline functions have none. */
  traced: boolean;
  /** Source line of its first line. */
  line: number;
  ops: Op[];
}

export interface SynthObject {
  /** Name without suffixes. */
  name: string;
  scope: 'global' | 'local' | 'promoted';
  kind: 'data' | 'bss' | 'rodata';
  /** What the compiler put behind a name that it had used before (`foo.count.12`): counted through the unit. */
  number: number | null;
  /** Bytes; 0 for lock-class keys of kernels without lockdep. */
  size: number;
  words: ReadonlyArray<{ offset: number; value: number }>;
  pointers: ReadonlyArray<{ offset: number; target: Target }>;
}

export interface Unit {
  number: number;
  file: string;
  source: string;
  /** `null` where the patch removed the function; new ones stand at the end. */
  functions: Array<SynthFunction | null>;
  objects: SynthObject[];
  edited: boolean;
}
