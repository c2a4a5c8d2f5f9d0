/** The stages of one pair of objects, each for the flow that needs it. */
import { setImmediate } from 'node:timers/promises';
import { forkJoin, from, lastValueFrom, map, mergeMap, toArray } from 'rxjs';
import { KlpflowError, type Diagnostic } from '../diagnostics';
import { machineName } from '../elf/machines';
import { MOST_DETAILED, candidates, namesakesLeft, type UncoveredDifference, type Verdict } from '../stages/compare';
import { correlate, nameSteps, withOpen, type Correlation, type NamePairs } from '../stages/correlate';
import type { DeclaredTwin } from '../stages/declared-twins';
import { ScanTable } from '../stages/scan';
import type { Flow, RunOptions } from './flow';
import { checkHeap, neededMemory } from './memory';
import { identify$, inputOf, readAhead, scan$, type Identified, type Scanned } from './scan';
import type { ObjectRef, PairRef } from './types';

export interface PairRequest extends RunOptions {
  orig: string;
  patched: string;
  /** Pairs that are declared by hand. */
  twins?: readonly DeclaredTwin[];
}

/** Both are waited for, so that of two errors it is always ORIG's that is told. */
async function both<T>(promises: Array<Promise<T>>): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}

/** Opens, checks and recognises both inputs. @throws KlpflowError what is wrong with one, and `machine-mismatch` */
export async function identifyBoth(
  flow: Flow,
  { orig, patched }: Pick<PairRequest, 'orig' | 'patched'>,
): Promise<[Identified, Identified]> {
  const inputs = await both([inputOf(flow, orig), inputOf(flow, patched)]);
  const [fresh, ...others] = inputs.filter(({ known }) => !known);
  // First of all: everything else waits for this table.
  const reading = fresh !== undefined && others.length === 0 ? readAhead(flow, fresh) : undefined;
  const identified = inputs.map((input) => lastValueFrom(identify$(flow, input)));
  const [a, b] = (await both(identified)).map((one, i) => (inputs[i] === fresh ? { ...one, reading } : one)) as [
    Identified,
    Identified,
  ];
  if (a.machine !== b.machine || a.little !== b.little) {
    const what =
      a.machine !== b.machine ? `${machineName(a.machine)} and ${machineName(b.machine)}` : 'different byte orders';
    throw new KlpflowError('machine-mismatch', `${orig} and ${patched} are for ${what}`, { object: patched });
  }
  return [a, b];
}

export interface BothScanned {
  orig: Scanned;
  patched: Scanned;
  named: NamePairs | undefined;
}

/** Scans both objects. As soon as both tables are there this thread pairs names, while the others make the digests. */
export async function scanBoth(flow: Flow, orig: Identified, patched: Identified): Promise<BothScanned> {
  flow.reserve((threads) => neededMemory([orig.load, patched.load], threads));
  const tables: { orig?: ScanTable; patched?: ScanTable } = {};
  let naming: Promise<NamePairs | undefined> | undefined;
  const tableDone =
    (side: 'orig' | 'patched') =>
    ({ table }: ObjectRef): void => {
      tables[side] = new ScanTable(table.shape, table.memory);
      const { orig: a, patched: b } = tables;
      if (a !== undefined && b !== undefined) naming = pairNames(flow, a, b);
    };
  const [a, b] = await lastValueFrom(
    forkJoin([scan$(flow, orig, tableDone('orig')), scan$(flow, patched, tableDone('patched'))]),
  );
  return { orig: a, patched: b, named: await naming };
}

/** Step by step, for between two this thread hands out work. Undefined where it fails: `correlate` then does it itself, and meets the error where it is told. */
async function pairNames(flow: Flow, orig: ScanTable, patched: ScanTable): Promise<NamePairs | undefined> {
  try {
    for (const steps = nameSteps(orig, patched); ; await setImmediate()) {
      flow.checkStopped();
      const { done, value } = flow.progress.onMain('correlate', () => steps.next());
      if (done) return value;
    }
  } catch {
    return undefined;
  }
}

/** Pairs the symbols. Needs both tables whole, and little time: it runs on this thread. What only instructions tell is a task. */
export async function correlateBoth(
  flow: Flow,
  { orig, patched, named }: BothScanned,
  twins: readonly DeclaredTwin[] = [],
): Promise<{ correlation: Correlation; pair: PairRef; needless: DeclaredTwin[] }> {
  flow.checkStopped();
  flow.pool.warm({ objects: [orig.ref, patched.ref], structSizes: flow.structSizes });
  const declared =
    twins.length === 0
      ? []
      : (
          await lastValueFrom(
            flow.task(
              'correlate',
              null,
              'twins',
              { orig: orig.ref, patched: patched.ref, twins: [...twins], structSizes: flow.structSizes },
              () => ({ items: twins.length, bytes: 0 }),
            ),
          )
        ).pairs;
  const correlated = (pairs: readonly number[]): Correlation =>
    correlate(
      { table: named?.pairing.orig ?? new ScanTable(orig.ref.table.shape, orig.ref.table.memory), uses: orig.uses },
      {
        table: named?.pairing.patched ?? new ScanTable(patched.ref.table.shape, patched.ref.table.memory),
        uses: patched.uses,
      },
      twins.length === 0 ? named : undefined,
      checkHeap,
      pairs,
    );
  const correlation = flow.progress.onMain('correlate', () => correlated(declared));
  const needless =
    twins.length === 0 ? [] : flow.progress.onMain('correlate', () => notNeeded(twins, declared, correlated([])));
  flow.progress.step('correlate', null, false, null, { items: correlation.pairing.orig.symbols, bytes: 0 });
  const pair: PairRef = {
    id: `${orig.ref.table.id}+${patched.ref.table.id}`,
    orig: orig.ref,
    patched: patched.ref,
    ...correlation.pairing.shared,
    structSizes: flow.structSizes,
  };
  const groups = correlation.ambiguous.filter(({ used }) => used);
  if (groups.length === 0) return { correlation, pair, needless };
  const task = { pair, uses: { orig: orig.uses, patched: patched.uses }, groups };
  const { open } = await lastValueFrom(
    flow.task('correlate', null, 'align', task, () => ({ items: groups.length, bytes: 0 })),
  );
  const all = [...correlation.ambiguous.filter(({ used }) => !used), ...open];
  return { correlation: withOpen(correlation, all), pair, needless };
}

/** Declarations of what evidence pairs by itself, `declared` as ORIG's and PATCHED's symbols in turn. */
function notNeeded(
  twins: readonly DeclaredTwin[],
  declared: readonly number[],
  { pairing }: Correlation,
): DeclaredTwin[] {
  return twins.filter((_, i) => {
    const [a, b] = [declared[i * 2]!, declared[i * 2 + 1]!];
    return pairing.twin[a] === b;
  });
}

/** Pairs a task: some milliseconds of decoding, so that a big change spreads over the threads. */
const PAIRS_A_TASK = 64;

/** What compare finds. */
export interface Compared {
  verdicts: Verdict[];
  lineOnly: number[];
  uncovered: UncoveredDifference[];
  losses: Diagnostic[];
}

/** Looks at the pairs that digests do not prove equal, and on other threads at what no symbol covers and what a livepatch will not do. */
export async function compareAll(
  flow: Flow,
  correlation: Correlation,
  pair: PairRef,
  { orig, patched }: BothScanned,
  objectName: string,
): Promise<Compared> {
  flow.checkStopped();
  const [pairs, losses, uncovered] = await both<Partial<Compared>>([
    compareCandidates(flow, correlation, pair),
    flow.pool.run('losses', { pair, objectName }).then(({ answer }) => answer),
    flow.pool.run('uncovered', { pair, gaps: { orig: orig.gaps, patched: patched.gaps } }).then(({ answer }) => answer),
  ]);
  return { ...pairs, ...losses, ...uncovered } as Compared;
}

async function compareCandidates(
  flow: Flow,
  correlation: Correlation,
  pair: PairRef,
): Promise<Pick<Compared, 'verdicts' | 'lineOnly'>> {
  // Names that are left over on both sides are not the same thing; their users need a look although their digests agree.
  const namesakes = namesakesLeft(correlation);
  const suspects =
    namesakes.size === 0
      ? []
      : (
          await lastValueFrom(
            flow.task('compare', null, 'users', { object: pair.orig, targets: [...namesakes] }, () => ({
              items: 0,
              bytes: 0,
            })),
          )
        ).users;
  const { pairs, lineOnly } = candidates(correlation, new Set(suspects));
  if (pairs.length === 0) return { verdicts: [], lineOnly };
  const starts = Array.from({ length: Math.ceil(pairs.length / (PAIRS_A_TASK * 2)) }, (_, i) => i * PAIRS_A_TASK * 2);
  const detail = pairs.length / 2 <= MOST_DETAILED;
  flow.progress.expect('compare', null, starts.length);
  return lastValueFrom(
    from(starts).pipe(
      mergeMap((start) => {
        const part = pairs.slice(start, start + PAIRS_A_TASK * 2);
        return flow
          .task('compare', null, 'compare', { pair, pairs: part, detail }, () => ({ items: part.length / 2, bytes: 0 }))
          .pipe(map(({ verdicts }) => ({ start, verdicts })));
      }, flow.pool.inFlight),
      toArray(),
      map((done) => ({
        verdicts: done.sort((a, b) => a.start - b.start).flatMap(({ verdicts }) => verdicts),
        lineOnly,
      })),
    ),
  );
}
