/** Many kernels by many patches: from the file to the result of every cell. */
import { join } from 'node:path';
import type { Diagnostic } from '../diagnostics';
import type { RunOptions } from '../pipeline/flow';
import { RunDir } from '../pipeline/run-dir';
import { matrixOf, type Matrix } from './matrix';
import { readMatrixFile } from './matrix-file';
import { prepare, type Preparation } from './prepare';
import { reportOf, type MatrixResult } from './report';
import { runHere, type CellEvent, type Outcome } from './run';
import { FolderStore, type Store } from './store';

export type { CellEvent, Outcome } from './run';
export type { CellResult } from './perform';
export { diagnosticsOf, type Alike, type CellReport, type CellVerdict, type MatrixResult } from './report';

export interface MatrixRequest extends RunOptions {
  /** The YAML file. */
  file: string;
  /** Where results are kept: a folder; default one in the run directory. */
  store?: string | undefined;
  /** Told all cells before the first is done, then each as it goes on. */
  begun?: (cells: ReadonlyArray<{ kernel: string; patch: string }>) => void;
  told?: (event: CellEvent) => void;
  /** Told what is done now. */
  step?: (what: string) => void;
}

export interface MatrixRun {
  result: MatrixResult;
  outcomes: Outcome[];
  store: Store;
}

/** @throws KlpflowError `malformed-matrix`, `run-dir-unusable`, `interrupted`; what is wrong with one cell is told of that cell */
export async function runMatrix(request: MatrixRequest): Promise<MatrixRun> {
  const started = performance.now();
  const { runDir, workers, memory, fresh = false, signal, begun, told = () => undefined } = request;
  const { matrix, found } = await prepared(request);
  begun?.(matrix.cells.map(({ kernel, patch }) => ({ kernel: kernel.name, patch: patch.name })));
  const store = new FolderStore(request.store ?? join(runDir, 'cells'));
  const missing = found.missing.map(
    ({ cell, diagnostics }): Outcome => ({
      cell,
      id: null,
      result: null,
      failed: diagnostics,
      seconds: null,
      by: null,
    }),
  );
  for (const outcome of missing) told({ cell: outcome.cell, state: 'done', outcome });
  const done = await runHere(found.ready, { runDir, store, workers, memory, fresh, signal, told });
  const byCell = new Map([...missing, ...done].map((outcome) => [outcome.cell, outcome]));
  const outcomes = matrix.cells.map((cell) => byCell.get(cell)!);
  const seconds = (performance.now() - started) / 1000;
  return { result: reportOf(matrix, outcomes, { seconds, runDir, store: store.name }), outcomes, store };
}

export interface MatrixCheck {
  schema: 'klpflow/matrix-check@1';
  ok: boolean;
  kernels: string[];
  patches: string[];
  cells: number;
  missing: Array<{ kernel: string; patch: string; diagnostics: Diagnostic[] }>;
}

/** All that is missing, of all kernels; nothing is compared or built. @throws KlpflowError `malformed-matrix` */
export async function checkMatrix(request: MatrixRequest): Promise<MatrixCheck> {
  const { matrix, found } = await prepared(request);
  return {
    schema: 'klpflow/matrix-check@1',
    ok: found.missing.length === 0,
    kernels: matrix.kernels.map(({ name }) => name),
    patches: matrix.patches.map(({ name }) => name),
    cells: matrix.cells.length,
    missing: found.missing.map(({ cell, diagnostics }) => ({
      kernel: cell.kernel.name,
      patch: cell.patch.name,
      diagnostics,
    })),
  };
}

async function prepared(request: MatrixRequest): Promise<{ matrix: Matrix; found: Preparation }> {
  const { file, runDir, fresh = false, step = () => undefined } = request;
  const matrix = matrixOf(await readMatrixFile(file));
  RunDir.open(runDir, fresh);
  step(`looking at what ${matrix.cells.length} cells need`);
  return { matrix, found: await prepare(matrix, { ...request, workers: 1 }, join(runDir, 'digests')) };
}
