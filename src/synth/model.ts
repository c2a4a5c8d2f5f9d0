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
export type SynthTarget = { function: FunctionRef } | { object: ObjectRef } | { string: string } | { name: string };

/** One step of a function's body: an instruction or a few that belong together. */
export type Op =
  /** Instructions that refer to nothing. */
  | { kind: 'plain'; bytes: readonly number[] }
  /** A number into the second argument's register. */
  | { kind: 'immediate'; value: number }
  /** A call; a tail call is no call site (.call_sites). `direct`: of a local function, for which assemblers need no PLT. */
  | { kind: 'call'; target: SynthTarget; site: boolean; direct?: true }
  /** The address of a text into the first argument's register. */
  | { kind: 'string'; text: string }
  /** Reads an object of `size` bytes. */
  | { kind: 'load'; object: ObjectRef; offset: number; size: number }
  /** Four bytes into an object. On x86-64 movl $value,object+offset(%rip): four bytes of immediate stand behind the displacement. */
  | { kind: 'store'; object: ObjectRef; offset: number; value: number }
  /** An address into the third argument's register. */
  | { kind: 'address'; target: SynthTarget }
  /** Reads something that no unit defines (`__ref_stack_chk_guard`). */
  | { kind: 'load-name'; name: string }
  /** A conditional jump over the next `over` ops, at most to the end. */
  | { kind: 'branch'; condition: number; over: number }
  /** call __x86_indirect_thunk_rax: .retpoline_sites */
  | { kind: 'retpoline' }
  /** lock incl (%rdi): .smp_locks */
  | { kind: 'locked' }
  /** A trap with a __bug_table record; `line` counts from the function's first. */
  | { kind: 'bug'; line: number; flags: number }
  /** A NOP that becomes a jump to the end: __jump_table */
  | { kind: 'static-branch'; key: ObjectRef }
  | { kind: 'static-call'; call: number }
  /** `original`, or a NOP of the replacement's length: .altinstructions. `call` adds a relocated call to the replacement, or names who writes it. */
  | {
      kind: 'alternative';
      feature: number;
      replacement: readonly number[];
      call?: string;
      original?: readonly number[];
    }
  /** Reads by the first argument, with an __ex_table record that resumes behind it. */
  | { kind: 'user-read' }
  /** The number 0x123456789abcdef, which boot code overwrites with a variable's value: runtime_ptr_ and its name. */
  | { kind: 'runtime-constant' };

export interface SynthFunction {
  /** Name without ThinLTO's suffix. */
  name: string;
  /** 'promoted': a static that ThinLTO made global and hidden, with a suffix. */
  scope: 'global' | 'local' | 'promoted';
  /** In a section of its own; in `.init.text` or `.sched.text` with others; with those of its unit; in the one `.text`. */
  placed: 'alone' | 'init' | 'shared' | 'unit' | 'text';
  /** Exported for modules. */
  exported: boolean;
  /** Kept by a table of addresses (.discard.addressable). */
  addressed: boolean;
  /** Nothing in the kernel refers to it. */
  unused: boolean;
  /** A second global name of the same code. */
  alias: string | null;
  /** Pushes nothing: so short that it has no frame. */
  leaf: boolean;
  /** Starts with ENDBR64. */
  endbr: boolean;
  /** Its ENDBR64 may be removed at boot: nothing takes its address. */
  sealed: boolean;
  /** The hash of its type stands before it (kCFI). */
  hashed: boolean;
  /** Has an ftrace site; out-of-line copies of inline functions have none. */
  traced: boolean;
  /** Source line of its first line. */
  line: number;
  /** Unwind entries and instruction annotations that objtool makes for it. */
  unwinds: number;
  annotations: number;
  ops: Op[];
}

export interface SynthObject {
  /** Name without suffixes. */
  name: string;
  scope: 'global' | 'local' | 'promoted';
  kind: 'data' | 'bss' | 'rodata';
  /** In a section of its own, or with others of its kind in `.ref.data`, `.rodata` or `.bss`. */
  placed: 'alone' | 'shared';
  /** What the compiler put behind a name that it had used before (`foo.count.12`): counted through the unit. */
  number: number | null;
  /** Bytes; 0 for lock-class keys of kernels without lockdep. */
  size: number;
  words: ReadonlyArray<{ offset: number; value: number }>;
  pointers: ReadonlyArray<{ offset: number; target: SynthTarget }>;
}

export interface Unit {
  number: number;
  file: string;
  source: string;
  /** `null` where the patch removed the function; new ones stand at the end. */
  functions: Array<SynthFunction | null>;
  /** Ordinals of its functions as they stand in the object. */
  order: number[];
  objects: SynthObject[];
  edited: boolean;
}
