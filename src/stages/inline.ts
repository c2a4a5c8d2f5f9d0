import type { ElfObject } from '../elf';
import { assess, type Assessment } from './assess';
import { usersOf } from './assess/references';
import { Side, candidates, comparePairs, namesakesLeft } from './compare';
import { correlate, type Correlation } from './correlate';
import { digestShard, digestSpecials, readTable } from './scan';
import type { StructSizes } from './scan/entry-size';

export interface InlineOptions {
  /** What assess calls the object: `vmlinux`, a module's name, or a unit's path. */
  objectName: string;
  structSizes?: StructSizes;
  traceable?: ReadonlySet<string> | undefined;
  /** LTO's hashes of units, ORIG's to PATCHED's, where other objects of the link tell them. */
  unitHashes?: ReadonlyMap<string, string>;
  /** Digests of promoted constants that other objects define, by full name. */
  constants?: ReadonlyMap<string, string>;
}

/** What all stages up to assess found about two objects. */
export interface InlineDiff {
  orig: Side;
  patched: Side;
  correlation: Correlation;
  assessment: Assessment;
}

/** Runs scan to assess on one thread: for compilation units, which take milliseconds. @throws KlpflowError for malformed objects */
export function diffInline(orig: ElfObject, patched: ElfObject, { objectName, structSizes = {}, traceable, unitHashes, constants }: InlineOptions): InlineDiff {
  const scanned = [orig, patched].map((object) => {
    const table = readTable(object);
    const digests = digestShard(object, table, 0, table.symbols);
    const specials = digestSpecials(object, table, structSizes);
    return { ...specials, table, uses: Uint32Array.from([...digests, ...specials.uses]), side: new Side(object, table, structSizes) };
  });
  const [a, b] = [scanned[0]!, scanned[1]!];
  const correlation = correlate(a, b);
  const namesakes = namesakesLeft(correlation);
  const suspects = namesakes.size === 0 ? [] : [...usersOf(a.side, namesakes).values()].flat().map(({ symbol }) => symbol).filter((symbol) => symbol !== 0);
  const { pairs, lineOnly } = candidates(correlation, new Set(suspects));
  const { pairing, ambiguous, contradicted, unpaired } = correlation;
  pairing.unitHashes = unitHashes;
  pairing.constants = constants;
  const verdicts = comparePairs(pairing, a.side, b.side, pairs);
  const assessment = assess({
    pairing, ambiguous, contradicted, unpaired, lineOnly, verdicts, objectName, traceable, orig: a.side, patched: b.side, traceKnown: a.traceKnown, unknownSizes: b.unknown,
  });
  return { orig: a.side, patched: b.side, correlation, assessment };
}
