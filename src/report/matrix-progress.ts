/** Progress of a matrix on stderr: a table that stays in place on a terminal, a line a cell in a log, JSON for a wrapper. */
import type { CellEvent } from '../index';
import { WORDS } from './matrix';
import type { ProgressMode } from './progress';

export interface MatrixView {
  begun(cells: ReadonlyArray<{ kernel: string; patch: string }>): void;
  told(event: CellEvent): void;
  note(text: string): void;
  end(): void;
}

export function matrixView(mode: ProgressMode, stream: NodeJS.WriteStream): MatrixView {
  const note = (text: string): void => void stream.write(`${text}\n`);
  const quiet = { begun: () => undefined, told: () => undefined, note, end: () => undefined };
  switch (mode) {
    case 'none':
      return { ...quiet, note: () => undefined };
    case 'json':
      return {
        ...quiet,
        told: (event) => void stream.write(`${JSON.stringify(asJson(event))}\n`),
        note: (text) => void stream.write(`${JSON.stringify({ note: text })}\n`),
      };
    case 'tree':
      return new Table(stream);
    case 'lines':
      return lines(stream);
    case 'auto':
      return matrixView(stream.isTTY && process.env['TERM'] !== 'dumb' ? 'tree' : 'lines', stream);
  }
}

function asJson({ cell, state, outcome }: CellEvent): object {
  return {
    kernel: cell.kernel.name,
    patch: cell.patch.name,
    state,
    ...(outcome === undefined
      ? {}
      : { verdict: outcome.result?.verdict ?? 'failed', seconds: outcome.seconds, by: outcome.by }),
  };
}

function lines(stream: NodeJS.WriteStream): MatrixView {
  let total = 0;
  let done = 0;
  return {
    begun: (cells) => void (total = cells.length),
    told({ cell, state, outcome }) {
      if (state !== 'done' || outcome === undefined) return;
      const { result, failed, seconds, by } = outcome;
      const why = failed === null ? '' : `  ${failed[0]?.code}: ${failed[0]?.message.split('\n')[0]}`;
      const took = seconds === null ? (failed === null ? ', was there' : '') : `, ${seconds.toFixed(2)} s`;
      stream.write(
        `[${(performance.now() / 1000).toFixed(2).padStart(6)} s] ${++done}/${total} ${cell.kernel.name} ${cell.patch.name}: ${WORDS[result?.verdict ?? 'failed']}${took}${by === null ? '' : `, ${by}`}${why}\n`,
      );
    },
    note: (text) => void stream.write(`${text}\n`),
    end: () => undefined,
  };
}

/** A letter a cell: what is done, what runs, what waits. */
const MARKS = { patchable: '+', refused: 'R', unchanged: '=', failed: 'F', started: '*', waiting: '.' } as const;

const BETWEEN_MS = 100;

class Table implements MatrixView {
  private readonly marks = new Map<string, string>();
  private kernels: string[] = [];
  private patches: string[] = [];
  private drawn = 0;
  private last = 0;
  private due: NodeJS.Timeout | undefined;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  begun(cells: ReadonlyArray<{ kernel: string; patch: string }>): void {
    this.kernels = [...new Set(cells.map(({ kernel }) => kernel))];
    this.patches = [...new Set(cells.map(({ patch }) => patch))];
    for (const { kernel, patch } of cells) this.marks.set(`${kernel} ${patch}`, MARKS.waiting);
  }

  told({ cell, state, outcome }: CellEvent): void {
    const mark = state === 'done' ? MARKS[outcome?.result?.verdict ?? 'failed'] : MARKS[state];
    this.marks.set(`${cell.kernel.name} ${cell.patch.name}`, mark);
    // What is told at once is drawn at once; the last of it is not left out.
    this.due ??= setTimeout(() => this.draw(), Math.max(0, this.last + BETWEEN_MS - performance.now())).unref();
  }

  note(text: string): void {
    this.end();
    this.stream.write(`${text}\n`);
  }

  end(): void {
    clearTimeout(this.due);
    this.due = undefined;
    if (this.drawn > 0) this.stream.write(`\x1b[${this.drawn}A\x1b[J`);
    this.drawn = 0;
  }

  private draw(): void {
    // A terminal that does not know its size says 0.
    const columns = this.stream.columns || 80;
    const rows = this.stream.rows || 24;
    const all = [...this.marks.values()];
    const done = all.filter((mark) => mark !== MARKS.waiting && mark !== MARKS.started).length;
    const head = `${done}/${all.length} cells; + patchable, = unchanged, R refused, F failed, * under way`;
    const body = this.kernels.map(
      (kernel) =>
        `${kernel.slice(0, 30).padEnd(30)} ${this.patches.map((patch) => this.marks.get(`${kernel} ${patch}`) ?? ' ').join('')}`,
    );
    // Of more kernels than lines those that are under way.
    const shown =
      body.length < rows - 2 ? body : body.filter((line) => line.includes(MARKS.started)).slice(0, rows - 3);
    const text = [head, ...shown].map((line) => line.slice(0, columns - 1));
    this.end();
    this.last = performance.now();
    this.stream.write(`${text.join('\n')}\n`);
    this.drawn = text.length;
  }
}
