import { setFlagsFromString } from 'node:v8';
import Piscina from 'piscina';
import { KlpflowError } from '../diagnostics';
import { memoryNow } from './memory';
import type { AnswerOf, Cost, Reply, TaskName, TaskOf } from './types';

/** A finished task, for reports and traces. */
export interface TaskRecord {
  name: TaskName;
  cost: Cost;
}

/** The threads. Each opens and maps what it works on; a task is a small message. */
export class Pool {
  private readonly piscina: Piscina;
  readonly done: TaskRecord[] = [];
  peakAnonBytes = 0;
  private readonly sampler: NodeJS.Timeout;

  constructor(readonly workers: number) {
    // Each thread compiles the same hot loops anew, and with V8's usual appetite for inlining that takes a third of all
    // processor time of a run; with this it takes a fifth, and the code is hardly slower. Before any thread starts.
    setFlagsFromString('--max-inlined-bytecode-size-cumulative=100');
    this.piscina = new Piscina({
      filename: require.resolve('#worker'),
      minThreads: workers,
      maxThreads: workers,
      idleTimeout: Infinity,
      // Results arrive by message; a thread that blocked in Atomics.wait could not be told to stop.
      atomics: 'disabled',
      recordTiming: false,
    });
    // 20 ms: a table of a kernel lives for some hundred.
    this.sampler = setInterval(() => this.sample(), 20).unref();
  }

  /** Tasks that may be under way at once: one a thread, and one more each so that none waits for the next message. */
  get inFlight(): number {
    return this.workers * 2;
  }

  /** @throws KlpflowError what the task threw */
  async run<N extends TaskName>(name: N, task: TaskOf<N>): Promise<{ answer: AnswerOf<N>; cost: Cost }> {
    const reply = (await this.piscina.run({ name, task })) as Reply<N>;
    this.sample();
    if ('failed' in reply) {
      const { code, message, where } = reply.failed;
      throw new KlpflowError(code, message, where);
    }
    this.done.push({ name, cost: reply.cost });
    return reply;
  }

  /** Waits for the tasks under way, then ends the threads. */
  async close(): Promise<void> {
    clearInterval(this.sampler);
    this.sample();
    await this.piscina.destroy();
  }

  private sample(): void {
    this.peakAnonBytes = Math.max(this.peakAnonBytes, memoryNow());
  }
}
