import { joined } from '../lists';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { forkJoin, from, map, mergeMap, of, toArray, type Observable } from 'rxjs';
import type { ModuleInfo } from '../kernel/modinfo';
import { LARGEST_MAP, fileIdentity, type FileIdentity } from '../files/mapped-file';
import type { Flow } from './flow';
import { memoryLeft, type Load } from './memory';
import { markUsed } from './prune';
import type { RecordPlace } from '../records';
import type { AnswerOf, InputRef, ObjectRef, TaskOf } from './types';

/** An input that was opened, checked and recognised. */
export interface Identified extends InputRef {
  digest: string;
  machine: number;
  little: boolean;
  load: Load;
  /** What its `.modinfo` says. */
  module: ModuleInfo;
  /** Its table, where reading that began before the content was known. */
  reading?: Promise<AnswerOf<'readTable'>> | undefined;
}

/** A scanned object: its columns filled, its uses gathered in symbol order. */
export interface Scanned {
  ref: ObjectRef;
  uses: Uint32Array;
  unknownSizes: Array<{ section: string; bytes: number }>;
  /** Whether the object lists its ftrace sites. */
  traceKnown: boolean;
  /** What no symbol covers; see stages/scan/gaps.ts. */
  gaps: Uint32Array;
}

/** An input as it is now, and whether its content is known from an earlier run. */
export interface Input extends InputRef {
  place: RecordPlace;
  known: boolean;
}

/** @throws KlpflowError `unreadable` */
export async function inputOf(flow: Flow, path: string): Promise<Input> {
  const identity = await settledIdentity(path);
  const place = flow.runDir.input(identity);
  return {
    path,
    identity,
    copy: identity.size > LARGEST_MAP ? flow.runDir.copy(identity) : null,
    place,
    known: !flow.fresh && existsSync(place.file),
  };
}

/** Opens, checks and recognises one input; progress counts it as a part of `whole`. */
export function identify$(flow: Flow, { path, identity, copy, place }: Input, whole = path): Observable<Identified> {
  const input: InputRef = { path, identity, copy };
  return flow
    .task('identify', whole, 'identify', { input, place, fresh: flow.fresh }, () => ({ items: 1, bytes: 0 }))
    .pipe(
      map((answer) => {
        markUsed(dirname(flow.runDir.table(answer.digest).file));
        return { ...input, ...answer };
      }),
    );
}

/** Larger ones wait until it is clear that there is memory for them, and what waiting costs is little to theirs. */
const LARGEST_AHEAD = 256e6;
/** Bytes of columns for each byte of a file, and some more: one that holds nothing but symbols has 85 for each 24. */
const MOST_COLUMNS = 4;

/**
 * Begins to read an input's table while another thread digests its content: a patched object is new in most runs, while the original
 * is known and leaves its thread idle. What was read is recorded when the digest says of which content it is.
 */
export function readAhead(
  flow: Pick<Flow, 'pool'>,
  { path, identity, copy }: InputRef,
  left = memoryLeft(),
): Promise<AnswerOf<'readTable'>> | undefined {
  if (flow.pool.workers < 2 || identity.size > LARGEST_AHEAD || identity.size * MOST_COLUMNS > left) return undefined;
  const reading = flow.pool
    .run('readTable', { input: { path, identity, copy }, place: null, fresh: true })
    .then(({ answer }) => answer);
  // Whoever waits for the table is told what is wrong with it; if nobody does, something else was wrong before.
  reading.catch(() => undefined);
  return reading;
}

/** Two ticks of the clock that file systems take timestamps from, where it is slowest. */
const CLOCK_TICK_MS = 20;

/** What tells a change of the file from now on. A change within the clock tick of the one before it would leave no trace, so a file that is younger is given that time. */
async function settledIdentity(path: string): Promise<FileIdentity> {
  const identity = fileIdentity(path);
  if (Date.now() - Number(identity.ctimeNs) / 1e6 > CLOCK_TICK_MS) return identity;
  await setTimeout(CLOCK_TICK_MS);
  return fileIdentity(path);
}

/**
 * Fills one object's columns: the table on one thread, then its digests in shards on all of them. Shards of both objects
 * share the threads; each is recorded when it is done. `tableDone` is told when the table is there and digests are under way.
 */
export function scan$(
  flow: Flow,
  { path, identity, copy, digest, reading }: Identified,
  tableDone: (ref: ObjectRef) => void = () => undefined,
): Observable<Scanned> {
  const { runDir, fresh, structSizes } = flow;
  const input: InputRef = { path, identity, copy };
  const place = runDir.table(digest);
  const read =
    reading === undefined
      ? flow.task('scan', path, 'readTable', { input, place, fresh }, ({ table, bytes }) => ({
          items: table.shape.symbols,
          bytes,
        }))
      : from(reading);
  return read.pipe(
    mergeMap(({ table, bounds, bytes }) => {
      const ref: ObjectRef = { ...input, table };
      // What was read ahead has not been recorded yet. Nothing waits for that.
      const kept =
        reading === undefined
          ? of({})
          : flow.task('scan', path, 'keepTable', { object: ref, place }, () => ({ items: table.shape.symbols, bytes }));
      const shards: Array<TaskOf<'digest'>> = bounds
        .slice(1)
        .map((to, i) => ({ object: ref, from: bounds[i]!, to, place: runDir.digests(digest, bounds[i]!, to), fresh }));
      flow.progress.expect('digest', path, shards.length + 1);
      // Special sections first: one task that nothing can split, so it should not be the last to start.
      const special = flow.task(
        'digest',
        path,
        'special',
        { object: ref, place: runDir.special(digest, JSON.stringify(structSizes)), fresh, structSizes },
        () => ({ items: 1, bytes: 0 }),
      );
      const digests = from(shards).pipe(
        mergeMap(
          (shard, i) =>
            flow
              .task('digest', path, 'digest', shard, (done) => ({ items: shard.to - shard.from, bytes: done.bytes }))
              .pipe(map(({ uses }) => ({ i, uses }))),
          flow.pool.inFlight,
        ),
        toArray(),
        // Threads finish in any order; position decides.
        map((done) => done.sort((a, b) => a.i - b.i).map(({ uses }) => uses)),
      );
      setImmediate(tableDone, ref);
      return forkJoin({ special, kept, digests }).pipe(
        map(({ special: entries, digests: uses }) => ({
          ref,
          uses: joined([...uses, entries.uses]),
          unknownSizes: entries.unknown,
          traceKnown: entries.traceKnown,
          gaps: entries.gaps,
        })),
      );
    }),
  );
}
