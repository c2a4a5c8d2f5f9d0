import type { Code } from './code';
import type { ExportedSymbol } from './exports';
import type { Findings } from './findings';
import type { Kernel } from './kernel';
import type { Module, Spot } from './module';
import type { KernelTypes } from './types';

/** What ftrace sends to a function of the module instead. */
export interface Replacement {
  /** `vmlinux` or a module, and the function of it. */
  object: string;
  name: string;
  sympos: number;
  /** The klp_func, for findings. */
  place: Spot;
}

/** What every check gets: the module, what is known of its kernel (null where not given), and where findings go. */
export interface Context {
  module: Module;
  code: Code;
  findings: Findings;
  /** `.modinfo` says livepatch=Y. */
  livepatch: boolean;
  kernel: Kernel | null;
  exports: ReadonlyMap<string, ExportedSymbol> | null;
  types: KernelTypes | null;
  template: TemplateFacts | null;
  /** The kernel's own, from its image. */
  vermagic: string | null;
  /** Pointers of klp_func to replacements, by `section:offset`: ftrace enters through them by a return, not by an indirect call. */
  replacementPointers: Set<string>;
  /** Functions of the module that take another's place, by `section:offset`. */
  replacements: Map<string, Replacement>;
  /** What klp_patch says of itself; null where that is made when the module is loaded. */
  patch: PatchFacts | null;
  /** The objects that the code is from are there to compare with. */
  compared: boolean;
}

/** What klp_patch says besides what it patches. */
export interface PatchFacts {
  /** It takes the place of all that are loaded. */
  replace: boolean;
  states: Array<{ id: number; version: number }>;
  /** Functions that the kernel calls around patching, by object. */
  callbacks: Array<{ object: string; function: string }>;
}

/** What any module of the same kernel tells about it. */
export interface TemplateFacts {
  path: string;
  vermagic: string | undefined;
  /** The kernel has retpolines and says so in its modules. */
  retpoline: boolean;
  /** sizeof(struct module), and where its init and exit pointers are: undefined where the template has none. */
  thisModule: { size: number; init: number | undefined; exit: number | undefined } | undefined;
  /** The kernel was built with symbol versions. */
  versioned: boolean;
  /** Bytes of padding before functions. */
  prefix: number;
  /** The kernel unwinds stacks by ORC. */
  unwind: boolean;
  /** Type hashes of its init and exit functions (kCFI). */
  types: ReadonlyMap<string, number>;
}
