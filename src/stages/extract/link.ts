import type { SymbolIndex } from '../../elf';
import type { KlpSymbol } from '../../livepatch/object';
import type { Copy } from './clones';

/** How a reference to a symbol is made in a livepatch. */
export type Link =
  /** To the livepatch's own copy. */
  | { kind: 'clone' }
  /** By the module loader: an export of vmlinux, or what another object of the same livepatch defines. */
  | { kind: 'import'; name: string }
  /** By the livepatch core, to a symbol that the running kernel has. */
  | { kind: 'klp'; target: KlpSymbol }
  /** Told already. */
  | { kind: 'refused' };

/** How a reference is used, where that matters. */
export interface Use {
  type: number;
  /** Distance from the symbol that the instruction or field has, not its r_addend. */
  addend: number;
}

/** Decides how references leave a livepatch. */
export interface Links {
  /** How PATCHED's canonical `symbol` is reached under one of its names; `from` and `at` say who asks. */
  of(symbol: SymbolIndex, named: number, from: Copy, at: number, use?: Use): Link;
  /** How the running kernel's own is reached that ORIG calls `name` and PATCHED `named`; undefined where its position is not known. */
  original(name: number, named: number): KlpSymbol | undefined;
  /** How a variable of vmlinux is reached that no symbol of either object stands for; undefined where nothing tells that there is one. */
  variable(name: string): Exclude<Link, { kind: 'clone' | 'refused' }> | undefined;
}
