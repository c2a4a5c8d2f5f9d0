import type { Offset } from '../../elf';
import type { OutputSection } from './section';
import type { OutputSymbol } from './section';

/** A symbol of the running kernel that the livepatch core finds by name and position, exported or not. */
export interface KlpSymbol {
  /** Who has it: `vmlinux` or a module's name. */
  module: string;
  /** Its name in ORIG, as the kernel's kallsyms has it. */
  name: string;
  /** 0 where the name is unique, else its 1-based rank among equal names. */
  sympos: number;
  /** What proves the position: see stages/running-kernel/sympos. */
  evidence: string;
  /** Name and st_info of the symbol in PATCHED that the references name. */
  patchedName: string;
  info: number;
}

/** A relocation that the livepatch core applies. Such a place has no ordinary relocation. */
export interface KlpRela {
  section: OutputSection;
  offset: Offset;
  type: number;
  target: KlpSymbol;
  addend: number;
}

/** A function of the running kernel and what stands in for it. */
export interface KlpFunc {
  oldName: string;
  sympos: number;
  evidence: string;
  /** A sized FUNC of this object. */
  replacement: OutputSymbol;
}

export const CALLBACKS = ['pre_patch', 'post_patch', 'pre_unpatch', 'post_unpatch'] as const;

export type Callback = (typeof CALLBACKS)[number];
