import type { Offset } from '../../elf';
import type { KlpFunc, KlpSymbol, LivepatchObject, OutputSection, OutputSymbol } from '../object';

/** What an object of create-diff-object holds besides what every livepatch object does. */
export interface KpatchObject {
  object: LivepatchObject;
  /** Byte order and e_flags of the target. */
  little: boolean;
  flags: number;
  /** Where the parent has the old functions, and the symbols that klp relocations name. */
  functions: ReadonlyMap<KlpFunc, { address: bigint; size: number }>;
  symbols: ReadonlyMap<KlpSymbol, { address: bigint; exported: boolean }>;
  /** Places that ftrace rewrites: bytes from a function's symbol. */
  sites: ReadonlyArray<{ symbol: OutputSymbol; offset: Offset }>;
  /** Null where sites stand in `__mcount_loc`; else each has its own `__patchable_function_entries`. */
  patchable: { linkOrder: boolean } | null;
  /** Records of the callback macros, whose object's name is still to be set. */
  callbacks: readonly OutputSection[];
  /** --klp-arch. */
  klpArch: boolean;
  /** `import_ns=X` */
  namespaces: readonly string[];
  /** Debug information goes along as it is; these are its sections. */
  debug: readonly OutputSection[];
}
