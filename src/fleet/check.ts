/** `--check`: all that is missing, of all kernels, and which patches do not fit, before anything is compared or built. */
import { join } from 'node:path';
import { isRefused, type Diagnostic } from '../diagnostics';
import { prepared, type MatrixRequest } from './index';
import type { Cell } from './matrix';
import { checkPatches, type BuiltCell } from './patch-check';
import { placeOf, type Owner, type Problem } from './places';
import { Signers } from './signing';

/** What is wrong with a cell, and where in the file that is to be mended. */
export interface CheckedCell {
  kernel: string;
  patch: string;
  diagnostics: Array<Diagnostic & { at: string }>;
}

export interface MatrixCheck {
  schema: 'klpflow/matrix-check@1';
  /** Nothing is missing, and every patch fits. */
  ok: boolean;
  kernels: string[];
  patches: string[];
  cells: number;
  /** Cells that cannot be done here as it is. */
  missing: CheckedCell[];
  /** Cells that would be refused before anything is compiled: the patch does not fit the source, or changes what no livepatch can. */
  refused: CheckedCell[];
}

/** @throws KlpflowError `malformed-matrix`, `interrupted` */
export async function checkMatrix(request: MatrixRequest): Promise<MatrixCheck> {
  const { file, matrix, found } = await prepared(request, new Signers());
  const { signal, runDir, step = () => undefined } = request;
  const told = (cell: Cell, problems: readonly Problem[]): CheckedCell => ({
    kernel: cell.kernel.name,
    patch: cell.patch.name,
    diagnostics: problems.map((one) => ({ ...one.diagnostic, at: placeOf(file, cell, one) })),
  });
  const built = found.ready.flatMap(({ cell }): BuiltCell[] => {
    const { kernel } = cell;
    const release = kernel.kind === 'build' ? found.recipes.get(kernel)?.release : undefined;
    return kernel.kind === 'build' && release !== undefined ? [{ cell, kernel, release }] : [];
  });
  const unfit = await checkPatches(built, { folder: join(runDir, 'tmp'), signal, step });
  const of = (owner: Owner): CheckedCell[] =>
    [...unfit].flatMap(([cell, problems]) => {
      const wrong = problems.filter(
        ({ owner: whose, diagnostic: one }) =>
          whose === owner && (isRefused([one]) || one.severity === 'error') && !cell.patch.allow.includes(one.code),
      );
      return wrong.length === 0 ? [] : [told(cell, wrong)];
    });
  const missing = [...found.missing.map(({ cell, problems }) => told(cell, problems)), ...of('kernel')];
  const refused = of('patch');
  return {
    schema: 'klpflow/matrix-check@1',
    ok: missing.length === 0 && refused.length === 0,
    kernels: matrix.kernels.map(({ name }) => name),
    patches: matrix.patches.map(({ name }) => name),
    cells: matrix.cells.length,
    missing,
    refused,
  };
}
