import type { SymbolIndex } from '../../elf';
import type { KernelSection } from '../../kernel/sections';
import type { Side } from '../side/side';
import { namesOf } from '../correlate';

/** A symbol of a copied body. */
export interface BodyName {
  name: string;
  /** st_info and st_other. */
  info: number;
  other: number;
}

/** What the formats of a livepatch object decide otherwise while it is filled. */
export interface CopyRules {
  /** Symbols of the copy of a canonical symbol of PATCHED; references name the first one. */
  namesOf(patched: Side, symbol: SymbolIndex): BodyName[];
  /** What the section of a function's copy is called, if not as it is in PATCHED. */
  sectionName(patched: Side, symbol: SymbolIndex): string | undefined;
  /** Whether entries of a table of code addresses (`__mcount_loc`, `.discard.annotate_insn`) go along. */
  keepsTable(table: KernelSection): boolean;
  /** Whether `__patchable_function_entries` is filled while functions are copied. */
  readonly listsSites: boolean;
  /** Whether jump labels may use keys of vmlinux: the livepatch core applied their relocations too late before Linux 5.8. */
  readonly jumpLabels: boolean;
}

export const KLP_RULES: CopyRules = {
  namesOf: (patched, symbol) =>
    [symbol, ...namesOf(patched.table, symbol).filter((alias) => alias !== symbol && !isOwnLabel(patched, alias))].map(
      (name) => bodyName(patched, name),
    ),
  sectionName: () => undefined,
  keepsTable: () => true,
  listsSites: true,
  jumpLabels: true,
};

export function bodyName(patched: Side, symbol: SymbolIndex): BodyName {
  return { name: patched.name(symbol), info: patched.table.info[symbol]!, other: patched.object.symbolOther(symbol) };
}

function isOwnLabel(patched: Side, symbol: SymbolIndex): boolean {
  return patched.table.isLocal(symbol) && patched.name(symbol).startsWith('.L');
}
