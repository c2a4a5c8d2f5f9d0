import { checkMatrix as look, runMatrix, type MatrixCheck, type MatrixRun } from '../fleet';
import type { CellEvent } from '../fleet/run';
import { begin, type Run, type RunSettings } from './run';

/** Kernels and patches, and who is told what becomes of them. */
export interface MatrixOptions extends Omit<RunSettings, 'btf' | 'trace'> {
  /** The YAML file, which schemas/matrix-file.schema.json describes. */
  file: string;
  /** Where results are kept; default: in the run directory. */
  store?: string | undefined;
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

/** Says all that is missing, of all kernels, and does nothing else. */
export function checkMatrix(options: MatrixOptions): Run<MatrixCheck> {
  return begin(options, async (run) => look({ ...run, ...given(options) }));
}

function given({ file, store, begun, told, step }: MatrixOptions) {
  return {
    ...{ file, store },
    ...(begun === undefined ? {} : { begun }),
    ...(told === undefined ? {} : { told }),
    ...(step === undefined ? {} : { step }),
  };
}
