import type { Diagnostic } from '../../diagnostics';
import type { LivepatchObject, PlatformFacts, Provenance } from '../../livepatch/object';
import type { Symvers } from '../../kernel/symvers';
import type { IncludedFunction } from '../assess';
import type { Side } from '../side/side';
import type { Pairing } from '../correlate';
import type { SymbolPositions } from '../running-kernel/sympos';

/** A pair and what is to be copied of it, whichever the dialect. */
export interface CopyInput {
  pairing: Pairing;
  orig: Side;
  patched: Side;
  /** `vmlinux` or a module's run-time name. */
  objectName: string;
  /** What assess found has to go in. */
  included: readonly IncludedFunction[];
  /** New variables that go in for another object's sake. */
  brought?: readonly number[] | undefined;
  /** PATCHED symbols that nothing pairs; references to them are already refused. */
  undecided: ReadonlySet<number>;
  /** Read-only data of PATCHED whose content changed, or what it leads to: copied although ORIG has it. */
  copied: ReadonlySet<number>;
  /** Nothing will be written: only what may be refused is of interest. */
  rehearsed?: boolean;
}

export interface ExtractInput extends CopyInput {
  symvers: Symvers;
  positions: Pick<SymbolPositions, 'positionOf'> & Partial<Pick<SymbolPositions, 'positionNamed' | 'positionOfGlobal'>>;
  facts: PlatformFacts;
  provenance: Provenance;
}

/** A klp symbol or patched function as the report names it. */
export interface KlpSymbolReport {
  name: string;
  object: string;
  sympos: number;
  evidence: string;
}

export interface Extraction {
  object: LivepatchObject;
  klpSymbols: KlpSymbolReport[];
  /** ORIG's symbols of the functions that are replaced, and of what klp relocations reach. */
  replaced: number[];
  references: number[];
  diagnostics: Diagnostic[];
}
