import { joined } from '../lists';
import type { ElfObject } from '../elf';
import { assess, type AssessInput, type Assessment } from './assess';
import { usersOf } from './assess/references';
import {
  candidates,
  MOST_DETAILED,
  comparePairs,
  compareUncovered,
  namesakesLeft,
  type UncoveredDifference,
  type Verdict,
} from './compare';
import { Side } from './side/side';
import { settleByAlignment } from './align';
import { correlate, withOpen, type Correlation } from './correlate';
import { digestShard, digestSpecials, readTable, type ScanTable } from './scan';
import type { UnknownEntrySize } from './scan/entries';
import type { StructSizes } from './scan/entry-size';

/** What is known of a pair besides its two objects. */
export interface PairFacts {
  structSizes?: StructSizes;
  /** LTO's hashes of units, ORIG's to PATCHED's, where other objects of the link tell them. */
  unitHashes?: ReadonlyMap<string, string>;
  /** Digests of promoted constants that other objects define, by full name. */
  constants?: ReadonlyMap<string, string>;
}

export interface InlineOptions extends PairFacts {
  /** What assess calls the object: `vmlinux`, a module's name, or a unit's path. */
  objectName: string;
  traceable?: ReadonlySet<string> | undefined;
}

/** What all stages up to assess found about two objects. */
export interface InlineDiff {
  orig: Side;
  patched: Side;
  compared: Omit<AssessInput, 'objectName'>;
  correlation: Correlation;
  assessment: Assessment;
}

/** Runs scan to assess on one thread: for compilation units, which take milliseconds. @throws KlpflowError for malformed objects */
export function diffInline(
  orig: ElfObject,
  patched: ElfObject,
  { objectName, traceable, ...facts }: InlineOptions,
): InlineDiff {
  const { compared, correlation } = compareObjects(orig, patched, facts);
  return {
    orig: compared.orig,
    patched: compared.patched,
    compared,
    correlation,
    assessment: assess({ ...compared, objectName, traceable }),
  };
}

/** Runs scan to compare; `compared` is what assess takes, in any dialect. @throws KlpflowError for malformed objects */
export function compareObjects(
  orig: ElfObject,
  patched: ElfObject,
  { structSizes = {}, unitHashes, constants }: PairFacts,
): { compared: Omit<AssessInput, 'objectName'>; correlation: Correlation } {
  const [a, b] = [scanInline(orig, structSizes), scanInline(patched, structSizes)];
  const correlation = correlateInline(a, b);
  const { pairing, ambiguous, contradicted, unpaired } = correlation;
  pairing.unitHashes = unitHashes;
  pairing.constants = constants;
  return {
    compared: {
      pairing,
      ambiguous,
      contradicted,
      unpaired,
      ...compareInline(correlation, a.side, b.side),
      orig: a.side,
      patched: b.side,
      traceKnown: a.traceKnown,
      unknownSizes: b.unknown,
    },
    correlation,
  };
}

/** Runs correlate, and on what it leaves open align. */
export function correlateInline(
  orig: Pick<ScannedInline, 'table' | 'uses' | 'side'>,
  patched: Pick<ScannedInline, 'table' | 'uses' | 'side'>,
): Correlation {
  const correlation = correlate(orig, patched);
  const groups = correlation.ambiguous.filter(({ used }) => used);
  if (groups.length === 0) return correlation;
  const open = settleByAlignment(correlation.pairing, orig.side, patched.side, correlation.uses, groups);
  return withOpen(correlation, [...correlation.ambiguous.filter(({ used }) => !used), ...open]);
}

/** One object with all its digests: what correlate and compare take. */
export interface ScannedInline {
  table: ScanTable;
  side: Side;
  uses: Uint32Array;
  unknown: UnknownEntrySize[];
  traceKnown: boolean;
}

/** Runs scan on one object. @throws KlpflowError for a malformed one */
function scanInline(object: ElfObject, structSizes: StructSizes): ScannedInline {
  const table = readTable(object);
  const digested = digestShard(object, table, 0, table.symbols);
  const { uses: special, unknown, traceKnown } = digestSpecials(object, table, structSizes);
  return { table, side: new Side(object, table, structSizes), uses: joined([digested, special]), unknown, traceKnown };
}

/** Runs compare on all pairs that digests do not prove equal, and on what no symbol covers. */
export function compareInline(
  correlation: Correlation,
  orig: Side,
  patched: Side,
): { verdicts: Verdict[]; lineOnly: number[]; uncovered: UncoveredDifference[] } {
  // Names that are left over on both sides are not the same thing; their users need a look although their digests agree.
  const namesakes = namesakesLeft(correlation);
  const users = namesakes.size === 0 ? [] : [...usersOf(orig, namesakes).values()].flat().map(({ symbol }) => symbol);
  const { pairs, lineOnly } = candidates(correlation, new Set(users));
  return {
    verdicts: comparePairs(correlation.pairing, orig, patched, pairs, pairs.length / 2 <= MOST_DETAILED),
    lineOnly,
    uncovered: compareUncovered(correlation.pairing, orig, patched),
  };
}
