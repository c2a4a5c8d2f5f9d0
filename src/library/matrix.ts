import { checkMatrix as look, type MatrixCheck } from '../fleet/check';
import { matrixStatus as stand, runMatrix, type MatrixRun, type MatrixStatus } from '../fleet';
import type { WorkerRequest, WorkerResult } from '../fleet/serve';
import type { CellEvent } from '../fleet/run';
import { begin, type Run, type RunSettings } from './run';

/** Kernels and patches, and who is told what becomes of them. */
export interface MatrixOptions extends Omit<RunSettings, 'btf' | 'trace'> {
  /** The YAML file, which schemas/matrix-file.schema.json describes. */
  file: string;
  /** Where results are kept; default: in the run directory. */
  store?: string | undefined;
  /** Workers do it, which take their jobs from this Redis. */
  redis?: string | undefined;
  /** Told all cells before the first is done. */
  begun?: ((cells: ReadonlyArray<{ kernel: string; patch: string }>) => void) | undefined;
  /** Told of each cell as it goes on. */
  told?: ((event: CellEvent) => void) | undefined;
  /** Told what is done now. */
  step?: ((what: string) => void) | undefined;
}

/** Does every patch for every kernel: a livepatch each, or the reasons why there is none. */
export function matrix(options: MatrixOptions): Run<MatrixRun> {
  return begin(options, async (run) => runMatrix({ ...run, ...given(options) }));
}

/** Says all that is missing, of all kernels, and which patches do not fit, and does nothing else. */
export function checkMatrix(options: MatrixOptions): Run<MatrixCheck> {
  return begin(options, async (run) => look({ ...run, ...given(options) }));
}

/** How every cell stands; with `submit`, what has no result yet is put into queues for workers first. */
export function matrixStatus(options: MatrixOptions & { submit?: boolean | undefined }): Run<MatrixStatus> {
  return begin(options, async (run) => stand({ ...run, ...given(options) }, options.submit === true));
}

/** Where a worker takes its jobs from, and what it can do. */
export type WorkerOptions = Omit<RunSettings, 'btf' | 'trace'> &
  Pick<WorkerRequest, 'redis' | 'store' | 'log'> &
  Partial<Pick<WorkerRequest, 'labels' | 'kernels' | 'stalledSeconds' | 'idleSeconds' | 'metrics'>>;

/** Does jobs of matrices that others submit, until it is told to stop. */
export function worker(options: WorkerOptions): Run<WorkerResult> {
  const { redis, store, log, labels = [], kernels, stalledSeconds = 30, idleSeconds, metrics } = options;
  return begin(options, async (run) => {
    const { serveQueues } = await import('../fleet/serve');
    const signal = run.signal ?? new AbortController().signal;
    return serveQueues({
      ...run,
      ...{ redis, store, log, labels, kernels, stalledSeconds, idleSeconds, metrics, signal },
    });
  });
}

function given({ file, store, redis, begun, told, step }: MatrixOptions) {
  return {
    ...{ file, store, redis },
    ...(begun === undefined ? {} : { begun }),
    ...(told === undefined ? {} : { told }),
    ...(step === undefined ? {} : { step }),
  };
}
