import type { Code } from './code';
import type { ExportedSymbol } from './exports';
import type { Findings } from './findings';
import type { Kernel } from './kernel';
import type { Spot } from './module';
import type { Module } from './module';
import type { TemplateFacts } from './template';
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
  /** Pointers of klp_func to replacements, by `section:offset`: ftrace enters through them by a return, not by an indirect call. */
  replacementPointers: Set<string>;
  /** Functions of the module that take another's place, by `section:offset`. */
  replacements: Map<string, Replacement>;
  /** The objects that the code is from are there to compare with. */
  compared: boolean;
}
