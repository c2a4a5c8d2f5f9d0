import Piscina from 'piscina';
import { KlpflowError } from '../diagnostics';
import { compileAsUsual, compileLess, isOwnProcess } from '../v8-flags';
import { memoryNow } from './memory';
import type { AnswerOf, Cost, Reply, SharedWithThreads, TaskName, TaskOf } from './types';

/** A finished task, for reports and traces. */
export interface TaskRecord {
  name: TaskName;
  cost: Cost;
}

let early: Pool | undefined;

/** Starts threads for a run that is about to come: theirs takes as long as the rest of start-up. Idle, they keep no process alive. */
export function startEarly(workers: number): void {
  early = new Pool(workers);
}

/** The threads. Each opens and maps what it works on; a task is a small message. */
export class Pool {
  /** The pool that was started early, if it is such a one; see the constructor. */
  static of(threads: number, atOnce: boolean): Pool {
    const pool = atOnce && early?.threads === threads ? early : new Pool(threads, atOnce);
    early = undefined;
    return pool;
  }

  private readonly piscina: Piscina;
  private readonly shared: SharedWithThreads = {
    closing: new Int32Array(new SharedArrayBuffer(4)),
    loaded: new Int32Array(new SharedArrayBuffer(4)),
    ownProcess: isOwnProcess(),
  };
  private readonly pending = new Set<Promise<unknown>>();
  /** Fails when there is no thread for a task any more. */
  private readonly noThreads: Promise<never>;
  readonly done: TaskRecord[] = [];
  peakAnonBytes = 0;
  private readonly sampler: NodeJS.Timeout;

  /** How many threads work: all, or one until `limit` says how many. */
  workers: number;
  /** Whether that is the last word. */
  private settled: boolean;
  private compilesLess = false;
  private working = 0;
  private readonly waiting: Array<() => void> = [];

  /** `atOnce`: starts threads now, not when `limit` has said how many; all but one, since this thread has things to do until then, too. */
  constructor(
    private readonly threads: number,
    atOnce = true,
  ) {
    this.workers = atOnce ? threads : 1;
    this.settled = atOnce;
    this.piscina = new Piscina({
      filename: require.resolve('#worker'),
      minThreads: atOnce ? Math.max(1, threads - 1) : 1,
      maxThreads: threads,
      idleTimeout: Infinity,
      // Results arrive by message; a thread that blocked in Atomics.wait could not be told to stop.
      atomics: 'disabled',
      // V8 would let each thread's young objects grow to 48 MB; nothing is faster for it.
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
      recordTiming: false,
      // Else a task that finds no thread goes behind those that came after it.
      stricterFIFO: true,
      workerData: this.shared,
    });
    // An idle thread that fails is replaced; the task that finds none tells.
    this.piscina.on('error', () => undefined);
    this.noThreads = new Promise<never>((_, reject) => {
      // A thread that ends before it is ready has no task that could fail, and piscina starts no other: what is queued would wait for ever, and
      // a process with nothing else to do ended in silence, with exit code 0.
      this.piscina.on('workerDestroy', () =>
        setImmediate(() => {
          if (this.piscina.threads.length === 0 && this.piscina.queueSize > 0)
            reject(new Error('none is left, and those that were started ended at once'));
        }),
      );
    });
    this.noThreads.catch(() => undefined);
    // 20 ms: a table of a kernel lives for some hundred.
    this.sampler = setInterval(() => this.sample(), 20).unref();
  }

  /** Tasks that may be under way at once: one a thread, and one more each so that none waits for the next message. */
  get inFlight(): number {
    return this.workers * 2;
  }

  /** From now on no more than so many threads work; others that have not begun yet never start. */
  limit(workers: number): void {
    this.workers = Math.min(workers, this.threads);
    this.settled = true;
    for (const next of this.waiting.splice(0)) next();
  }

  /** @throws KlpflowError what the task threw, or `thread-lost` */
  async run<N extends TaskName>(name: N, task: TaskOf<N>): Promise<{ answer: AnswerOf<N>; cost: Cost }> {
    const reply = await this.posted<N>({ name, task });
    this.sample();
    if (!this.compilesLess && this.settled && Atomics.load(this.shared.loaded, 0) >= this.workers) {
      this.compilesLess = true;
      compileLess();
    }
    if ('failed' in reply) {
      const { code, message, where } = reply.failed;
      throw new KlpflowError(code, message, where);
    }
    this.done.push({ name, cost: reply.cost });
    return reply;
  }

  private async posted<N extends TaskName>(message: { name: N; task: TaskOf<N> }): Promise<Reply<N>> {
    const reply = this.turn().then(() =>
      Promise.race([this.piscina.run(message) as Promise<Reply<N>>, this.noThreads]),
    );
    this.pending.add(reply);
    try {
      return await reply;
    } catch (cause) {
      // A task's own errors are answers; what comes here is the end of its thread.
      throw new KlpflowError(
        'thread-lost',
        `a thread ended during the task ${message.name}: ${(cause as Error).message}`,
        {},
        cause,
      );
    } finally {
      this.pending.delete(reply);
      this.working--;
      this.waiting.shift()?.();
    }
  }

  /** Waits while as many tasks are under way as threads may work. Where all may, the threads' own queue is the better one. */
  private async turn(): Promise<void> {
    while (this.workers < this.threads && this.working >= this.workers && !this.isClosing)
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.working++;
  }

  private get isClosing(): boolean {
    return Atomics.load(this.shared.closing, 0) === 1;
  }

  /** Lets every thread open both objects and load the instruction decoder, 20 ms, while this thread is busy. Nobody waits for it. */
  warm(task: TaskOf<'warm'>): void {
    for (let i = 0; i < this.workers; i++) void this.piscina.run({ name: 'warm', task }).catch(() => undefined);
  }

  /** Lets the tasks under way finish and record, drops those that wait, then ends the threads. */
  async close(): Promise<void> {
    Atomics.store(this.shared.closing, 0, 1);
    for (const next of this.waiting.splice(0)) next();
    await Promise.allSettled(this.pending);
    clearInterval(this.sampler);
    this.sample();
    await this.piscina.destroy();
    if (this.compilesLess) compileAsUsual();
  }

  private sample(): void {
    this.peakAnonBytes = Math.max(this.peakAnonBytes, memoryNow());
  }
}
