import { defer, map, type Observable } from 'rxjs';
import { throwIfInterrupted } from '../diagnostics';
import { threadCpuMs } from '../records';
import { threadsWithin } from './memory';
import { Pool, type TaskRecord } from './pool';
import { Progress } from './progress';
import { keepWithin } from './prune';
import { RunDir } from './run-dir';
import type { AnswerOf, ProgressEvent, RunReport, StageName, TaskName, TaskOf } from './types';

/** What every run is told, whichever stages it has. */
export interface RunOptions {
  runDir: string;
  workers: number;
  /** Most anonymous memory to use, in bytes: fewer threads where it takes that, `memory-too-small` where one is too many. */
  memory?: number;
  /** Use nothing that the run directory holds. */
  fresh?: boolean;
  /** Entry sizes by kernel struct name, from BTF. */
  structSizes?: Record<string, number>;
  /** Stops the run between tasks: it ends with `interrupted`. */
  signal?: AbortSignal;
  /** When the run began, by `performance.now()`; default now. */
  startedAt?: number;
  progress?: (event: ProgressEvent) => void;
  /** Told what a person should know besides the result. */
  note?: (text: string) => void;
  /** Told every task at the end, for a trace. */
  trace?: (tasks: readonly TaskRecord[]) => void;
}

/** What the stages of one run share: threads, run directory, progress, and the wish to stop. */
export class Flow {
  readonly runDir: RunDir;
  readonly progress: Progress;
  readonly pool: Pool;
  readonly fresh: boolean;
  readonly structSizes: Record<string, number>;
  neededBytes = 0;
  private readonly workers: number;
  private readonly memory: number | undefined;
  private readonly stop: AbortSignal | undefined;
  private readonly startedAt: number;
  private readonly note: (text: string) => void;

  /** @throws KlpflowError `run-dir-unusable`, `no-space` */
  constructor({
    runDir,
    workers,
    memory,
    fresh = false,
    structSizes = {},
    signal,
    startedAt = performance.now(),
    progress,
    note = () => undefined,
  }: RunOptions) {
    this.runDir = RunDir.open(runDir, fresh);
    this.progress = new Progress(startedAt);
    if (progress !== undefined) this.progress.events.subscribe(progress);
    // With a limit one thread says first what the objects need; then there may be more.
    this.pool = Pool.of(workers, memory === undefined);
    this.workers = workers;
    this.memory = memory;
    this.fresh = fresh;
    this.structSizes = structSizes;
    this.stop = signal;
    this.startedAt = startedAt;
    this.note = note;
  }

  /** One task of a stage as an observable: it starts when subscribed to, unless the run is to stop, and tells its progress. */
  task<N extends TaskName>(
    stage: StageName,
    object: string | null,
    name: N,
    task: TaskOf<N>,
    count: (answer: AnswerOf<N>) => { items: number; bytes: number },
  ): Observable<AnswerOf<N>> {
    return defer(() => {
      this.checkStopped();
      this.progress.begin();
      return this.pool.run(name, task);
    }).pipe(
      map(({ answer, cost }) => {
        this.progress.step(stage, object, cost.reused, cost.miss, count(answer));
        return answer;
      }),
    );
  }

  /** Told before memory is taken how much that will be with so many threads. @throws KlpflowError `memory-too-small` */
  reserve(needed: (threads: number) => number): void {
    const threads = threadsWithin(needed, this.workers, this.memory);
    this.neededBytes = Math.round(needed(threads));
    this.pool.limit(threads);
  }

  /** @throws KlpflowError `interrupted` */
  checkStopped(): void {
    throwIfInterrupted(this.stop);
  }

  /** Where the time went so far. */
  times(): Pick<RunReport, 'stages' | 'seconds' | 'cpuSeconds' | 'mainCpuSeconds'> {
    const { user, system } = process.cpuUsage();
    return {
      stages: this.progress.report(this.pool.done),
      seconds: seconds(performance.now() - this.startedAt),
      cpuSeconds: seconds((user + system) / 1000),
      mainCpuSeconds: seconds(threadCpuMs()),
    };
  }

  /** Lets tasks under way finish, and removes what earlier runs left half-written. */
  async close(): Promise<void> {
    await this.pool.close();
    // Where everything was reused nothing was written, and the time is better saved.
    if (!this.pool.done.some(({ cost }) => cost.miss !== null)) return;
    this.runDir.clean();
    const pruned = keepWithin(this.runDir);
    if (pruned !== undefined)
      this.note(
        `run directory ${this.runDir.path}: ${gigabytes(pruned.bytes)} of what was longest not used are removed, ${gigabytes(pruned.left)} stay (KLPFLOW_CACHE_LIMIT)`,
      );
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Of milliseconds, to a tenth of one. */
function seconds(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 1e4;
}
