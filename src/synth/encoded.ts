import type { ObjectRef, SynthTarget } from './model';

/** A relocation in code; `offset` counts from the function's start, `addend` from the target's. */
export interface CodeRef {
  offset: number;
  type: number;
  target: SynthTarget;
  addend: number;
}

export interface AlternativeSite {
  at: number;
  length: number;
  feature: number;
  replacement: readonly number[];
  /** A function that the replacement calls or, where it has no code, that writes it. */
  call?: string;
  /** Where its code stands behind the function, if it has no section of its own. */
  behind?: number;
}

/** What tables say about places in a function. All offsets count from its start. */
export interface Sites {
  fentry: number | null;
  returns: number[];
  calls: number[];
  retpolines: number[];
  locks: number[];
  /** Where the stack's layout changes (.orc_unwind_ip). */
  unwinds: number[];
  annotations: number[];
  bugs: Array<{ at: number; line: number; flags: number }>;
  branches: Array<{ at: number; to: number; key: ObjectRef }>;
  staticCalls: Array<{ at: number; call: number }>;
  alternatives: AlternativeSite[];
  faults: Array<{ at: number; fixup: number }>;
  runtimeConstants: number[];
}

export interface EncodedFunction {
  /** In front of its symbol: padding, or the hash of its type. */
  lead: Uint8Array;
  bytes: Uint8Array;
  /** Behind its end, without a symbol: code that replaces some of its own. */
  tail: Uint8Array;
  refs: CodeRef[];
  sites: Sites;
}
