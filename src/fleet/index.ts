/** Many kernels by many patches: from the file to the result of every cell. */
import { join } from 'node:path';
import { KlpflowError } from '../diagnostics';
import type { RunOptions } from '../pipeline/flow';
import { RunDir } from '../pipeline/run-dir';
import { matrixOf, type Cell, type Matrix } from './matrix';
import { readMatrixFile, type MatrixFile } from './matrix-file';
import { prepare, type Preparation } from './prepare';
import type { JobState, Submission } from './redis/submit';
import { reportOf, type MatrixResult } from './report';
import { runHere, type CellEvent, type Outcome } from './run';
import { Signers, type HandedOut } from './signing';
import type { Store } from './store';
import { storeCalled } from './stores';

export type { CellEvent, Outcome } from './run';
export type { CellResult } from './perform';
export { diagnosticsOf, type Alike, type CellReport, type CellVerdict, type MatrixResult } from './report';

export interface MatrixRequest extends RunOptions {
  /** The YAML file. */
  file: string;
  /** Where results are kept: a folder, or `s3://BUCKET/FOLDER`; default a folder in the run directory. */
  store?: string | undefined;
  /** Workers do it, which take their jobs from this Redis. */
  redis?: string | undefined;
  /** Told all cells before the first is done, then each as it goes on. */
  begun?: (cells: ReadonlyArray<{ kernel: string; patch: string }>) => void;
  told?: (event: CellEvent) => void;
  /** Told what is done now. */
  step?: (what: string) => void;
}

export interface MatrixRun {
  result: MatrixResult;
  outcomes: Outcome[];
  /** The module of a cell as it is handed out, signed where its kernel has a key; null where there is none. */
  livepatch(outcome: Outcome): Promise<HandedOut | null>;
}

/** @throws KlpflowError `malformed-matrix`, `run-dir-unusable`, `redis-unavailable`, `interrupted`; what is wrong with one cell is told of that cell */
export async function runMatrix(request: MatrixRequest): Promise<MatrixRun> {
  const started = performance.now();
  const { runDir, workers, memory, fresh = false, signal, begun, told = () => undefined, redis } = request;
  const signers = new Signers();
  const { matrix, found } = await prepared(request, signers);
  begun?.(matrix.cells.map(({ kernel, patch }) => ({ kernel: kernel.name, patch: patch.name })));
  const store = storeOf(request);
  const missing = found.missing.map(
    ({ cell, problems }): Outcome => ({
      cell,
      id: null,
      result: null,
      failed: problems.map(({ diagnostic }) => diagnostic),
      seconds: null,
      by: null,
    }),
  );
  for (const outcome of missing) told({ cell: outcome.cell, state: 'done', outcome });
  const done =
    redis === undefined
      ? await runHere(found.ready, { runDir, store, workers, memory, fresh, signal, told })
      : await submitted(request, found, async (submission) => {
          await submission.submit();
          return submission.watch();
        });
  const byCell = new Map([...missing, ...done].map((outcome) => [outcome.cell, outcome]));
  const outcomes = matrix.cells.map((cell) => byCell.get(cell)!);
  const seconds = (performance.now() - started) / 1000;
  return {
    result: reportOf(matrix, outcomes, { seconds, runDir, store: store.name }, (kernel) => signers.subjectOf(kernel)),
    outcomes,
    livepatch: (outcome) => signers.livepatch(outcome, store),
  };
}

export interface MatrixStatus {
  schema: 'klpflow/matrix-status@1';
  /** In the order of the file; `missing` is a cell that lacks a file. */
  cells: Array<{ kernel: string; patch: string; state: JobState | 'missing' }>;
}

/** How every cell stands. `submit` puts into queues what has no result yet, and leaves it to the workers. @throws KlpflowError as `runMatrix` */
export async function matrixStatus(request: MatrixRequest, submit: boolean): Promise<MatrixStatus> {
  const { matrix, found } = await prepared(request);
  const states =
    request.redis === undefined
      ? await kept(storeOf(request), found)
      : await submitted(request, found, async (submission) => {
          if (submit) await submission.submit();
          return submission.states();
        });
  const byCell = new Map<Cell, JobState>(found.ready.map(({ cell }, i) => [cell, states[i]!]));
  return {
    schema: 'klpflow/matrix-status@1',
    cells: matrix.cells.map((cell) => ({
      kernel: cell.kernel.name,
      patch: cell.patch.name,
      state: byCell.get(cell) ?? 'missing',
    })),
  };
}

async function kept(store: Store, { ready }: Preparation): Promise<JobState[]> {
  const states: JobState[] = [];
  for (const { id } of ready) states.push((await store.result(id)) === undefined ? 'absent' : 'done');
  return states;
}

async function submitted<T>(
  request: MatrixRequest,
  { ready }: Preparation,
  work: (submission: Submission) => Promise<T>,
): Promise<T> {
  const { redis, signal, told = () => undefined, step: note = () => undefined } = request;
  const { Submission: Remote } = await import('./redis/submit');
  const submission = await Remote.of(ready, { redis: redis!, store: storeOf(request), signal, told, note });
  try {
    return await work(submission);
  } finally {
    await submission.close();
  }
}

/** @throws KlpflowError `malformed-matrix`, `usage`, `run-dir-unusable` */
export async function prepared(
  request: MatrixRequest,
  signers?: Signers,
): Promise<{ file: MatrixFile; matrix: Matrix; found: Preparation }> {
  const { file, runDir, fresh = false, redis, step = () => undefined } = request;
  if (redis !== undefined && request.store === undefined)
    throw new KlpflowError('usage', '--redis: say with --store where workers find objects and leave results');
  if (redis !== undefined && fresh)
    throw new KlpflowError(
      'usage',
      '--fresh with --redis: workers do not do again what is in the store; take another store',
    );
  const read = await readMatrixFile(file);
  const matrix = matrixOf(read);
  RunDir.open(runDir, fresh);
  step(`looking at what ${matrix.cells.length} cells need`);
  const options = { ...request, workers: 1 };
  return {
    file: read,
    matrix,
    found: await prepare(matrix, options, join(runDir, 'digests'), redis !== undefined, signers),
  };
}

function storeOf({ store, runDir }: MatrixRequest): Store {
  return storeCalled(store ?? join(runDir, 'cells'), runDir);
}
