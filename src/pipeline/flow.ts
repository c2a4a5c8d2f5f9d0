import { defer, from, map, mergeMap, of, throwError, type Observable } from 'rxjs';
import { KlpflowError } from '../diagnostics';
import { Pool } from './pool';
import { Progress } from './progress';
import type { RunDir } from './run-dir';
import type { AnswerOf, StageName, TaskName, TaskOf } from './types';

/** What the stages of one run share: threads, run directory, progress, and the wish to stop. */
export class Flow {
  readonly progress = new Progress();
  readonly pool: Pool;

  constructor(
    readonly runDir: RunDir,
    workers: number,
    readonly fresh: boolean,
    readonly structSizes: Record<string, number>,
    private readonly stop: AbortSignal | undefined,
  ) {
    this.pool = new Pool(workers);
  }

  /** One task of a stage as an observable: it starts when subscribed to, unless the run is to stop, and tells its progress. */
  task<N extends TaskName>(
    stage: StageName, object: string | null, name: N, task: TaskOf<N>, count: (answer: AnswerOf<N>) => { items: number; bytes: number },
  ): Observable<AnswerOf<N>> {
    return defer(() => this.unlessStopped()).pipe(
      mergeMap(() => from(this.pool.run(name, task))),
      map(({ answer, cost }) => {
        this.progress.step(stage, object, cost.reused, cost.miss, count(answer));
        return answer;
      }),
    );
  }

  /** Lets every thread load the instruction decoder, 45 ms of WebAssembly, while this thread is busy. Nobody waits for it. */
  warm(): void {
    for (let i = 0; i < this.pool.workers; i++) void this.pool.run('warm', {}).catch(() => undefined);
  }

  /** @throws KlpflowError `interrupted` */
  checkStopped(): void {
    if (this.stop?.aborted) throw new KlpflowError('interrupted', 'interrupted');
  }

  private unlessStopped(): Observable<true> {
    return this.stop?.aborted ? throwError(() => new KlpflowError('interrupted', 'interrupted')) : of(true as const);
  }
}
