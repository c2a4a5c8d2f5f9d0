/** Stands in for src/pipeline/pool.ts where thousands of runs share a process: the same tasks, on the calling thread. */
import { KlpflowError } from '../../src/diagnostics';
import type { AnswerOf, Cost, TaskName, TaskOf } from '../../src/pipeline/types';
import run from '../../workers/stage';

export class Pool {
  static of(): Pool {
    return new Pool();
  }

  readonly workers = 1;
  readonly inFlight = 2;
  readonly peakAnonBytes = 0;
  readonly done: Array<{ name: TaskName; cost: Cost }> = [];

  async run<N extends TaskName>(name: N, task: TaskOf<N>): Promise<{ answer: AnswerOf<N>; cost: Cost }> {
    const reply = await run({ name, task });
    if ('failed' in reply) throw new KlpflowError(reply.failed.code, reply.failed.message, reply.failed.where);
    this.done.push({ name, cost: reply.cost });
    return reply;
  }

  warm(): void {
    // No threads.
  }

  limit(): void {
    // No threads.
  }

  async close(): Promise<void> {
    // No threads.
  }
}
