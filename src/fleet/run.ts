/** A matrix on this machine: as many cells side by side as memory and cores allow, each result kept as soon as it is there. */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { diagnosticOf, type Diagnostic, throwIfInterrupted } from '../diagnostics';
import { put } from '../lists';
import { memoryLeft } from '../pipeline/memory';
import { checkSame, sha256 } from './digest';
import type { Cell } from './matrix';
import type { CellResult } from './perform';
import type { Prepared } from './prepare';
import { Slot } from './slot';
import { keep, keptResult, type Store } from './store';

/** What became of a cell. */
export interface Outcome {
  cell: Cell;
  /** Null where not even that was known, for what is missing. */
  id: string | null;
  /** Null where it failed. */
  result: CellResult | null;
  /** Why it has no result; null where it has one. */
  failed: Diagnostic[] | null;
  /** Of the work; null for a result that was there. */
  seconds: number | null;
  /** The machine, where it was done by a worker. */
  by: string | null;
}

export interface CellEvent {
  cell: Cell;
  state: 'started' | 'waiting' | 'done';
  outcome?: Outcome;
}

export interface LocalSettings {
  runDir: string;
  store: Store;
  /** Cells side by side at most, and the cores that they share. */
  workers: number;
  /** Anonymous memory of all of them. */
  memory?: number | undefined;
  fresh: boolean;
  signal?: AbortSignal | undefined;
  told: (event: CellEvent) => void;
}

/** Outcomes in the order of the cells. @throws KlpflowError `interrupted`, `store-unavailable` */
export async function runHere(cells: readonly Prepared[], settings: LocalSettings): Promise<Outcome[]> {
  const { store, told, fresh } = settings;
  const outcomes = new Map<Prepared, Outcome>();
  const settle = (one: Prepared, outcome: Omit<Outcome, 'cell' | 'id' | 'by'>): void => {
    outcomes.set(one, { cell: one.cell, id: one.id, by: null, ...outcome });
    told({ cell: one.cell, state: 'done', outcome: outcomes.get(one)! });
  };
  removeAbandoned(join(settings.runDir, 'jobs'));
  // Cells of equal inputs are one job.
  const open = new Map<string, Prepared[]>();
  for (const one of cells) {
    try {
      const result = fresh ? undefined : await keptResult(store, one.id);
      if (result === undefined) put(open, one.id, one);
      else settle(one, { result, failed: null, seconds: null });
    } catch (cause) {
      const found = diagnosticOf(cause);
      if (found.code !== 'store-damaged') throw cause;
      settle(one, { result: null, failed: [found], seconds: null });
    }
  }
  await new Schedule(
    [...open.values()].map(([first]) => first!),
    settings,
    (one, outcome) => {
      for (const same of open.get(one.id)!) settle(same, outcome);
    },
  ).run();
  return cells.map((one) => outcomes.get(one)!);
}

/** Folders of jobs whose process was killed. */
export function removeAbandoned(jobs: string): void {
  if (!existsSync(jobs)) return;
  for (const name of readdirSync(jobs)) {
    const pid = Number(/-(\d+)$/.exec(name)?.[1]);
    if (!existsSync(`/proc/${pid}`)) rmSync(join(jobs, name), { recursive: true, force: true });
  }
}

type Settle = (one: Prepared, outcome: Omit<Outcome, 'cell' | 'id' | 'by'>) => void;

class Schedule {
  private readonly running = new Set<Prepared>();
  private readonly idle: Slot[] = [];
  private readonly left: Prepared[];
  private readonly memory: number;
  private readonly threads: number;

  constructor(
    open: readonly Prepared[],
    private readonly settings: LocalSettings,
    private readonly settle: Settle,
  ) {
    this.left = [...open];
    this.memory = settings.memory ?? memoryLeft();
    this.threads = Math.max(1, Math.floor(settings.workers / Math.max(1, open.length)));
  }

  async run(): Promise<void> {
    const { signal } = this.settings;
    try {
      const under = new Set<Promise<void>>();
      for (;;) {
        for (let next = this.next(); next !== undefined && signal?.aborted !== true; next = this.next()) {
          const done: Promise<void> = this.one(next).finally(() => under.delete(done));
          under.add(done);
        }
        if (under.size === 0) break;
        await Promise.race(under);
      }
      throwIfInterrupted(signal);
    } finally {
      for (const slot of this.idle) slot.close();
    }
  }

  /**
   * The first cell that fits: into cores and memory beside those that run, one always does; and alone in its kernel's tree, in which one build at a
   * time can work.
   */
  private next(): Prepared | undefined {
    const { workers } = this.settings;
    if (this.running.size >= workers) return undefined;
    const used = [...this.running].reduce((sum, one) => sum + this.bytes(one), 0);
    const trees = new Set([...this.running].map(treeOf).filter((tree) => tree !== undefined));
    const at = this.left.findIndex((one) => {
      const tree = treeOf(one);
      return (
        (this.running.size === 0 || used + this.bytes(one) <= this.memory) && (tree === undefined || !trees.has(tree))
      );
    });
    if (at < 0) return undefined;
    const [chosen] = this.left.splice(at, 1);
    this.running.add(chosen!);
    return chosen;
  }

  /** As `--help` of `matrix` and docs/fleet.md state it. */
  private bytes({ job, bytes }: Prepared): number {
    return job.work.kind === 'build' ? bytes * this.threads : bytes;
  }

  private async one(one: Prepared): Promise<void> {
    const { runDir, store, signal, told } = this.settings;
    const { id, job, files, cell } = one;
    const folder = join(runDir, 'jobs', `${id}-${process.pid}`);
    const slot = this.idle.pop() ?? new Slot();
    const started = performance.now();
    told({ cell, state: 'started' });
    try {
      mkdirSync(join(runDir, 'jobs'), { recursive: true });
      const place = {
        ...{ folder, runDir, workers: this.threads },
        files: Object.fromEntries(files.map(({ sha256: digest, path }) => [digest, path])),
        kernel: cell.kernel.kind === 'build' ? cell.kernel : undefined,
      };
      const { text, livepatch } = await slot.run(job, place, signal);
      checkSame(files);
      await keep(store, id, text, livepatch);
      const seconds = (performance.now() - started) / 1000;
      this.settle(one, { result: JSON.parse(text) as CellResult, failed: null, seconds });
    } catch (cause) {
      const failed = diagnosticOf(cause);
      if (failed.code !== 'interrupted')
        this.settle(one, { result: null, failed: [failed], seconds: (performance.now() - started) / 1000 });
    } finally {
      rmSync(folder, { recursive: true, force: true });
      this.running.delete(one);
      this.idle.push(slot);
    }
  }
}

/** What only one build at a time may work in; undefined for what needs none. */
function treeOf({ job }: Prepared): string | undefined {
  return job.work.kind === 'build' ? sha256(job.work.kernel) : undefined;
}
