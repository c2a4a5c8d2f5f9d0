import type { Diagnostic } from '../../diagnostics';
import type { LivepatchObject, PlatformFacts, Provenance } from '../../livepatch/object';
import type { Symvers } from '../../livepatch/symvers';
import type { IncludedFunction } from '../assess';
import type { Side } from '../compare';
import type { Pairing } from '../correlate';

/** A symbol's place among those of its name in the running kernel, or why it is not known. */
export type Position =
  | { sympos: number; evidence: string; /** The name that the kernel looks for, where it is not the ELF name. */ name?: string }
  | { code: 'position-unknown' | 'not-in-kernel'; refused: string };

/** Where symbols of ORIG stand in the running kernel. */
export interface Positions {
  /** A symbol of ORIG, defined or not, by its number. */
  positionOf(symbol: number): Position;
}

export interface ExtractInput {
  pairing: Pairing;
  orig: Side;
  patched: Side;
  /** `vmlinux` or a module's run-time name. */
  objectName: string;
  /** What assess found has to go in. */
  included: readonly IncludedFunction[];
  /** PATCHED symbols that nothing pairs; references to them are already refused. */
  undecided: ReadonlySet<number>;
  symvers: Symvers;
  positions: Positions;
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
  diagnostics: Diagnostic[];
}
