import { availableParallelism } from 'node:os';
import { emptyName } from '../diagnostics';
import { defaultRunDir } from '../files/cache-folder';
import { readStructSizes } from '../pipeline/btf-file';
import type { RunOptions } from '../pipeline/flow';
import type { TaskRecord } from '../pipeline/pool';
import type { ProgressEvent } from '../pipeline/types';
import { Feed, type Progress } from './progress';
import { withPlain } from './unpacked';
import { unpackedInto } from '../pipeline/unpacked-folder';

/** What every run may be told; all of it has a default. */
export interface RunSettings {
  /** Where results live; default: `KLPFLOW_CACHE_DIR`, else a folder in the user's cache. */
  runDir?: string | undefined;
  /** Threads; default one a core. */
  workers?: number | undefined;
  /** Most memory to use, in bytes: fewer threads, or `memory-too-small`. */
  memory?: number | undefined;
  /** Use nothing that the run directory holds. */
  fresh?: boolean | undefined;
  /** Kernel types (raw BTF, or an ELF file with .BTF): entry sizes of special sections, and the structs of a finished module. */
  btf?: string | undefined;
  /** Lets tasks under way finish and record, then ends the run with the error `interrupted`. */
  signal?: AbortSignal | undefined;
  /** When the run began, by `performance.now()`; default now. */
  startedAt?: number | undefined;
  /** Told what a person should know besides the result: that old results were removed. */
  note?: ((text: string) => void) | undefined;
  /** Told every task at the end, for a trace. */
  trace?: ((tasks: readonly TaskRecord[]) => void) | undefined;
}

/** A run that has begun: a promise of its result, and what it does meanwhile. The promise fails with a `KlpflowError`. */
export type Run<T> = Promise<T> & { readonly progress: Progress };

/** Begins a run with defaults filled in. `given` are the settings with what compressed files hold. */
export function begin<T, S extends RunSettings>(
  settings: S,
  work: (options: RunOptions, given: S) => Promise<T>,
): Run<T> {
  return telling((tell) => {
    if (settings.runDir === '') throw emptyName('--run-dir');
    return withPlain(unpackedInto(settings.runDir ?? defaultRunDir(), settings.fresh), settings, (given, told) =>
      work(
        optionsOf(given, (event) => tell(told(event))),
        given,
      ),
    );
  });
}

/** Begins what tells its progress. */
export function telling<T>(work: (tell: (event: ProgressEvent) => void) => Promise<T>): Run<T> {
  const feed = new Feed<ProgressEvent>();
  const run = async (): Promise<T> => work((event) => feed.tell(event));
  const result = run().finally(() => feed.end());
  return Object.assign(result, { progress: feed });
}

/** What options say besides the settings that every run has. */
export function ownOptions<S extends RunSettings>(options: S): Omit<S, keyof RunSettings> {
  const { runDir, workers, memory, fresh, btf, signal, startedAt, note, trace, ...own } = options;
  return own;
}

/** @throws KlpflowError `usage`, and what is wrong with the types */
function optionsOf(settings: RunSettings, progress: (event: ProgressEvent) => void): RunOptions {
  const { runDir, workers, memory, fresh, btf, signal, startedAt, note, trace } = settings;
  return {
    runDir: runDir ?? defaultRunDir(),
    workers: workers ?? availableParallelism(),
    ...(memory === undefined ? {} : { memory }),
    fresh: fresh === true,
    structSizes: btf === undefined ? {} : readStructSizes(btf),
    ...(signal === undefined ? {} : { signal }),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(note === undefined ? {} : { note }),
    ...(trace === undefined ? {} : { trace }),
    progress,
  };
}
