import type { Diagnostic } from '../../diagnostics';
import type { Symvers } from '../../kernel/symvers';
import type { KernelStructs } from './layouts';
import type { ModuleTemplate } from './template';

/** The kernel that is to load the module, as far as ORIG does not say it. */
export interface TargetKernel {
  symvers: Symvers;
  /** Its types, from BTF. One of `structs` and `template` must be there. */
  structs?: KernelStructs;
  /** Any of its modules. */
  template?: ModuleTemplate;
  /** What its image says of all its modules. */
  image?: ImageModuleFacts;
}

/** What the kernel's image says that its modules have to say, too. */
export interface ImageModuleFacts {
  path: string;
  vermagic: string | null;
  /** Built with retpolines. */
  retpoline: boolean;
}

/** An entry of `klp_patch.states`. */
export interface KlpState {
  /** Not 0, which ends the list. */
  id: number;
  version: number;
}

export interface ModuleOptions {
  /** Its run-time name: letters, digits and `_`, at most 55. */
  name: string;
  /** Version of the program that writes it, for `.modinfo`. */
  version: string;
  description?: string | undefined;
  /** An atomic replacement of all earlier livepatches; default true. */
  replace?: boolean;
  states?: readonly KlpState[];
}

export interface ModuleResult {
  /** The file's bytes, front to back; a chunk is overwritten when the next one is asked for. Null where the module is refused. */
  chunks: (() => Iterable<Uint8Array>) | null;
  diagnostics: Diagnostic[];
}
