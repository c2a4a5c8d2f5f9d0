/** The folder of a matrix's results: KERNEL/livepatch-PATCH.ko, its report and its JSON, matrix.json and index.html. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { KlpflowError, fileError, type Diagnostic } from '../diagnostics';
import { finishFolder, writeAtomically, writeOneOfMany } from '../files/output-file';
import { diagnosticsOf, type MatrixResult, type MatrixRun, type Outcome } from '../fleet';
import { parallel } from '../kbuild/parallel';

/** What people read of a matrix, as HTML. */
export interface MatrixPages {
  /** Of a cell that has a result. */
  cell(outcome: Outcome, diagnostics: readonly Diagnostic[]): string;
  /** Of all cells. What one has is named as seen from the page, null where there is none. */
  index(result: MatrixResult, links: Record<'page' | 'livepatch', (cell: Cell) => string | null>): string;
}

type Cell = { kernel: string; patch: string };
/** A disk that syncs one file has time for others. */
const AT_ONCE = 8;
const KINDS = { page: '.html', result: '.json', livepatch: '.ko' } as const;

/** Where the results of a matrix are handed over. */
export class MatrixFolder {
  private constructor(private readonly folder: string) {}

  /** Before any work: a folder that cannot be written is told at once. @throws KlpflowError `write-failed` */
  static open(folder: string): MatrixFolder {
    try {
      mkdirSync(folder, { recursive: true });
      if (!statSync(folder).isDirectory()) throw new KlpflowError('write-failed', `${folder} is no folder`);
    } catch (cause) {
      throw fileError(folder, cause, 'write');
    }
    return new MatrixFolder(folder);
  }

  /** @returns the page @throws KlpflowError `write-failed`, `no-space`, `store-unavailable`, `store-damaged`, `signing-key` */
  async write({ result, outcomes, livepatch: handedOut }: MatrixRun, pages: MatrixPages): Promise<string> {
    const kernels = [...new Set(outcomes.map(({ cell }) => join(this.folder, cell.kernel.name)))];
    for (const folder of kernels) mkdirSync(folder, { recursive: true });
    await parallel(outcomes, AT_ONCE, (outcome) => this.writeCell(outcome, handedOut, pages));
    for (const folder of kernels) await finishFolder(folder);
    const there = (cell: Cell, kind: keyof typeof KINDS): string | null =>
      existsSync(this.path(cell, kind)) ? this.name(cell, kind) : null;
    await this.put(join(this.folder, 'matrix.json'), `${JSON.stringify(result, null, 2)}\n`);
    const index = join(this.folder, 'index.html');
    await this.put(
      index,
      pages.index(result, { page: (cell) => there(cell, 'page'), livepatch: (cell) => there(cell, 'livepatch') }),
    );
    return index;
  }

  private async writeCell(outcome: Outcome, handedOut: MatrixRun['livepatch'], pages: MatrixPages): Promise<void> {
    const cell = { kernel: outcome.cell.kernel.name, patch: outcome.cell.patch.name };
    const livepatch = outcome.result?.livepatch ?? null;
    // What an earlier run left under the name of a cell that has none now would be taken for it.
    for (const kind of Object.keys(KINDS) as Array<keyof typeof KINDS>)
      if (outcome.result === null || (kind === 'livepatch' && livepatch === null))
        rmSync(this.path(cell, kind), { force: true });
    if (outcome.result === null) return;
    if (livepatch !== null) await replace(this.path(cell, 'livepatch'), (await handedOut(outcome))!.bytes);
    await replace(this.path(cell, 'result'), Buffer.from(`${JSON.stringify(outcome.result, null, 2)}\n`));
    await replace(this.path(cell, 'page'), Buffer.from(pages.cell(outcome, diagnosticsOf(outcome))));
  }

  private name({ kernel, patch }: Cell, kind: keyof typeof KINDS): string {
    return `${kernel}/livepatch-${patch}${KINDS[kind]}`;
  }

  private path(cell: Cell, kind: keyof typeof KINDS): string {
    return join(this.folder, this.name(cell, kind));
  }

  private async put(path: string, text: string): Promise<void> {
    await writeAtomically(path, [Buffer.from(text)]);
  }
}

/** Most of a matrix is what it was at the last run. */
async function replace(path: string, bytes: Buffer): Promise<void> {
  if (existsSync(path) && readFileSync(path).equals(bytes)) return;
  await writeOneOfMany(path, [bytes]);
}
