import type { EncodedFunction } from './encoded';
import type { ObjectRef, Op, SynthFunction } from './model';
import type { Random } from './random';
import type { Shape } from './shape/types';

/** What of a made-up kernel differs by processor: a row of PROCESSORS. */
export interface SynthProcessor {
  /** EM_* */
  machine: number;
  /** Relocations of data and debug information: an address, distances of 32 and 64 bits, an offset of 32 bits. */
  types: { address: number; distance: number; distance64: number; offset: number };
  body: BodyRules;
  text: TextRules;
  tables: TableRules;
  platform: PlatformRules;
  /** The machine code of a function as the object that is compared has it. */
  encode(fn: SynthFunction): EncodedFunction;
}

/** Ops that belong together, in order. */
export type Step = Op | readonly Op[];

/** What tables list: how often per 1000 functions, the bytes that it takes, and how to make one. */
export type SiteRecipe = readonly [per1000: number, bytes: number, make: (random: Random, key: ObjectRef) => Step];

/** How long code is, and what it is made of. */
export interface BodyRules {
  /** Bytes of what a function has around its steps. */
  landingPad: number;
  tracing: number;
  frame: number;
  return: number;
  /** Relocations of every function, and of one with an ftrace site, that are no step's. */
  relas: { always: number; traced: number };
  /** Bytes and relocations of a step that refers to something; `reference`: bytes that one needs at most, but for a few. */
  cost(op: Op): { bytes: number; relas: number };
  reference: number;
  /** Bytes of a step with a number, and of a conditional jump. */
  immediate: number;
  branch: number;
  /** What conditional jumps go by. */
  conditions: readonly number[];
  /** Instructions that refer to nothing, in runs: most code. */
  runs: ReadonlyArray<Extract<Op, { kind: 'plain' }>>;
  sites(sites: Shape['sites']): readonly SiteRecipe[];
  /** Something that no unit defines and code loads. */
  linkerSymbol: string;
  /**
   * What an edit puts in, and what a rewritten function begins with. `reversed`: it uses its variables in another order, because a read and a write of one
   * begin with the same instruction, whose order would tell which is which.
   */
  edits: { added: readonly number[]; cleared: readonly number[]; reversed: boolean };
}

/** How sections of code are laid out. */
export interface TextRules {
  /** Of functions, a power of two; gaps hold `fill`. */
  align: number;
  fill: number;
  /** What is in front of a function is a symbol, `__pfx_` and its name. */
  prefixes: boolean;
  /** `$x` and `$d` say where code and data begin. */
  mappingSymbols: boolean;
  /** Patchable entries: of every function that has a section of its own, or of each with an ftrace site; and how far in front of the function they point. */
  entries: { of: 'alone' | 'traced'; before: number };
  /** A jump to `distance` bytes from here. */
  stub(distance: number): Uint8Array;
}

/** Tables that hold nothing but references to code. */
export type ListName =
  | 'runtime'
  | 'returns'
  | 'calls'
  | 'retpolines'
  | 'locks'
  | 'unwinds'
  | 'ftrace'
  | 'seals'
  | 'annotations'
  | 'addressable';

/** A section of one reference an entry. */
export interface ListSpec {
  name: string;
  flags: number;
  align: number;
  /** Bytes of an entry. */
  entry: number;
  /** sh_entsize. */
  entsize: number;
  /** R_* */
  type: number;
  /** The section whose places they are (SHF_LINK_ORDER). */
  link?: number;
}

export interface TableRules {
  /** Section of the code that replaces other code; null where it stands behind the function. */
  replacements: string | null;
  /** An entry of `.altinstructions` behind its two references. */
  alternative(site: { feature: number; length: number; written: boolean }): readonly number[];
  /** In a replacement: a call without its target, and its relocation. */
  call: { bytes: readonly number[]; field: number; type: number; addend: number } | null;
  bugAlign: number;
  /** An entry of `__ex_table` behind its two references. */
  fault: readonly number[];
  staticCalls: boolean;
  lists: Partial<Record<ListName, ListSpec>>;
  /** One unwind entry, the same for all; null where there are none. */
  unwind: Uint8Array | null;
}

/** What a kernel's assembler units and linker script define. */
export interface PlatformRules {
  file: string;
  /** Functions that compiled code calls, with their symbols' types, and the code of each. */
  functions: ReadonlyArray<readonly [name: string, type: number]>;
  code: readonly number[];
  /** Of a static call; its relocation goes to `memcpy`. */
  trampoline: { code: readonly number[]; field: number; type: number; addend: number } | null;
  /** The variable that boot writes into code. */
  runtimeVariable: string;
}
