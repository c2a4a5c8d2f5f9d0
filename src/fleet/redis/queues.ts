/** The queues of a submission: one for each need, made known to workers by a list; and what is there of queues that nobody uses any more. */
import type { Job as BullJob, Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Prepared } from '../prepare';
import { announce, longUnused, needOf, queueOf, takeBack, type Need } from './needs';
import type { Returned } from './payload';

/** A job is tried again after what may pass: a store that is full, a worker that ran out of memory. */
const ATTEMPTS = 3;
/** Failed and finished jobs are told of for so long; results stay in the store. */
const KEPT = { age: 7 * 24 * 3600, count: 100_000 };
/** Much longer than a matrix waits for a worker. One that does wait still puts its jobs in again. */
const UNUSED_MS = 30 * 24 * 3600 * 1000;

export type QueuedJob = BullJob<unknown, Returned>;

export class Queues {
  private readonly queues = new Map<string, Queue>();
  private readonly listeners: QueueEvents[] = [];
  /** BullMQ leaves open what it did not open. */
  private readonly connections: Redis[] = [];
  private readonly needs = new Map<string, { need: Need; queue: string }>();

  constructor(private readonly redis: Redis) {}

  /** What a job needs; its digest is made once for all that is asked of the job. */
  needOf(one: Prepared): { need: Need; queue: string } {
    const known = this.needs.get(one.id);
    if (known !== undefined) return known;
    const need = needOf(one);
    const found = { need, queue: queueOf(need) };
    this.needs.set(one.id, found);
    return found;
  }

  /** Undefined where Redis has no such job. */
  async job(one: Prepared): Promise<QueuedJob | undefined> {
    return (await (await this.of(one)).getJob(one.id)) as QueuedJob | undefined;
  }

  async stateOf(one: Prepared): Promise<string> {
    return (await this.of(one)).getJobState(one.id);
  }

  /** A job that failed, or whose result is gone from the store, is put in anew. */
  async add(one: Prepared): Promise<void> {
    const queue = await this.of(one);
    // A Redis that lost all has lost the list, too.
    await announce(this.redis, this.needOf(one).need);
    const before = await this.job(one);
    if (before !== undefined) {
      const state = await before.getState();
      if (state === 'failed' || state === 'completed') await before.remove();
    }
    const backoff = { type: 'exponential', delay: 1000 };
    const kept = { removeOnComplete: KEPT, removeOnFail: KEPT };
    await queue.add('cell', one.job, { jobId: one.id, attempts: ATTEMPTS, backoff, ...kept });
  }

  /** Each change of klpflow or of a kernel makes queues of its own: those of last month would stay for ever. */
  async removeUnused(): Promise<void> {
    for (const name of await longUnused(this.redis, UNUSED_MS)) {
      const queue = await this.opening(name);
      if ((await queue.getActiveCount()) === 0) {
        await queue.obliterate({ force: true });
        await takeBack(this.redis, name);
      }
      await queue.close();
    }
  }

  /** Whether anybody takes jobs from the queue. */
  async isServed(name: string): Promise<boolean> {
    return (await (await this.opened(name)).getWorkersCount()) > 0;
  }

  async listen(told: { active: (id: string) => void; settled: (id: string) => void }): Promise<void> {
    const { QueueEvents: Events } = await import('bullmq');
    for (const [name] of this.queues) {
      const connection = this.redis.duplicate();
      this.connections.push(connection);
      const events = new Events(name, { connection });
      events.on('error', () => undefined);
      events.on('active', ({ jobId }) => told.active(jobId));
      events.on('completed', ({ jobId }) => told.settled(jobId));
      events.on('failed', ({ jobId }) => told.settled(jobId));
      this.listeners.push(events);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.listeners, ...this.queues.values()].map((one) => one.close()));
    for (const connection of this.connections) connection.disconnect();
  }

  private of(one: Prepared): Promise<Queue> {
    return this.opened(this.needOf(one).queue);
  }

  private async opened(name: string): Promise<Queue> {
    const known = this.queues.get(name);
    if (known !== undefined) return known;
    const queue = await this.opening(name);
    this.queues.set(name, queue);
    return queue;
  }

  private async opening(name: string): Promise<Queue> {
    const { Queue: Bull } = await import('bullmq');
    const queue = new Bull(name, { connection: this.redis });
    queue.on('error', () => undefined);
    return queue;
  }
}
