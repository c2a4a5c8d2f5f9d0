/** The submitting side: contents into the store, jobs into queues, and then watching until every cell has its result. */
import type { Redis } from 'ioredis';
import { diagnosticOf, type Diagnostic, throwIfInterrupted } from '../../diagnostics';
import { put } from '../../lists';
import type { Prepared } from '../prepare';
import { checkSame, type Digested } from '../digest';
import { blobsOf } from '../job';
import type { CellEvent, Outcome } from '../run';
import { keptResult, type Store } from '../store';
import { connect } from './connection';
import { Queues } from './queues';
import { ofReason, type Returned } from './payload';

export interface RemoteSettings {
  redis: string;
  store: Store;
  signal?: AbortSignal | undefined;
  told: (event: CellEvent) => void;
  note: (text: string) => void;
}

/** How a job stands. */
export type JobState = 'done' | 'waiting' | 'active' | 'failed' | 'absent';

/** Events are the fast way, looking is the sure one. */
const LOOK_MS = 2000;
const LOOK_AT = 200;

export class Submission {
  private readonly queues: Queues;
  private readonly byId = new Map<string, Prepared[]>();
  private readonly open = new Set<string>();
  private readonly outcomes = new Map<Prepared, Outcome>();
  private readonly lonely = new Set<string>();
  /** What is away is told once, not at every look at every job. */
  private noted = '';
  private changed: () => void = () => undefined;

  private constructor(
    private readonly redis: Redis,
    private readonly cells: readonly Prepared[],
    private readonly settings: RemoteSettings,
  ) {
    this.queues = new Queues(redis);
    for (const one of cells) put(this.byId, one.id, one);
  }

  /** @throws KlpflowError `redis-unavailable`, `usage` */
  static async of(cells: readonly Prepared[], settings: RemoteSettings): Promise<Submission> {
    return new Submission(await connect(settings.redis, settings.note), cells, settings);
  }

  /** Puts into queues what has no result yet. What cannot be stored is a failed cell. */
  async submit(): Promise<void> {
    const { store, signal } = this.settings;
    for (const [id, [one]] of this.byId) {
      throwIfInterrupted(signal);
      try {
        if (await this.finish(id, null)) continue;
        await this.upload(one!);
        await this.queues.add(one!);
        this.open.add(id);
      } catch (cause) {
        this.fail(id, diagnosticOf(cause));
      }
    }
    await this.queues.removeUnused();
    this.settings.note(`${this.open.size} jobs are in the queue; results go to ${store.name}`);
  }

  /** Waits for all of it. @throws KlpflowError `interrupted` */
  async watch(): Promise<Outcome[]> {
    const { signal } = this.settings;
    await this.queues.listen({
      active: (id) => {
        for (const { cell } of this.byId.get(id) ?? []) this.settings.told({ cell, state: 'started' });
      },
      settled: (id) => {
        void this.look(id).then(
          () => this.changed(),
          () => undefined,
        );
      },
    });
    for (let from = 0; this.open.size > 0; ) {
      throwIfInterrupted(signal);
      await this.pause();
      const ids = [...this.open];
      for (const id of [...ids, ...ids].slice(from % ids.length, (from % ids.length) + Math.min(LOOK_AT, ids.length)))
        await this.look(id);
      from += LOOK_AT;
      await this.lookForWorkers();
    }
    return this.cells.map((one) => this.outcomes.get(one)!);
  }

  /** How each job stands, in the order of the cells; nothing is changed. */
  async states(): Promise<JobState[]> {
    const states = new Map<string, JobState>();
    for (const [id, [one]] of this.byId) {
      if ((await this.settings.store.result(id)) !== undefined) states.set(id, 'done');
      else {
        const state = await this.queues.stateOf(one!);
        const known = { active: 'active', failed: 'failed', unknown: 'absent', completed: 'absent' } as const;
        states.set(id, known[state as keyof typeof known] ?? 'waiting');
      }
    }
    return this.cells.map(({ id }) => states.get(id)!);
  }

  async close(): Promise<void> {
    await this.queues.close();
    this.redis.disconnect();
  }

  private async upload({ job, files }: Prepared): Promise<void> {
    for (const blob of blobsOf(job)) {
      const file: Digested = files.find(({ sha256 }) => sha256 === blob.sha256)!;
      await this.settings.store.put(blob, file.path);
      checkSame([file]);
    }
  }

  /** What nobody will do is told, once for each queue: else it would be waited for in silence. */
  private async lookForWorkers(): Promise<void> {
    const first = new Map<string, Prepared>();
    for (const id of this.open) {
      const [one] = this.byId.get(id)!;
      const { queue } = this.queues.needOf(one!);
      if (!first.has(queue)) first.set(queue, one!);
    }
    for (const [name, one] of first) {
      if (this.lonely.has(name) || (await this.queues.isServed(name))) continue;
      this.lonely.add(name);
      const { producer, labels, memory, kernel } = this.queues.needOf(one).need;
      const needs = [
        `klpflow ${producer}`,
        ...labels.map((label) => `label ${label}`),
        `${memory / 1e9} GB`,
        ...(kernel === null ? [] : [`kernel ${one.cell.kernel.name} in its --kernels`]),
      ];
      this.settings.note(`no worker is there for ${one.cell.kernel.name} (${needs.join(', ')}); waiting for one`);
    }
  }

  private pause(): Promise<void> {
    const { signal } = this.settings;
    return new Promise((resolve) => {
      const early = (): void => {
        if (this.open.size > 0 && signal?.aborted !== true) return;
        end();
      };
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', early);
        resolve();
      };
      const timer = setTimeout(end, LOOK_MS);
      this.changed = early;
      signal?.addEventListener('abort', early);
      early();
    });
  }

  private async look(id: string): Promise<void> {
    if (!this.open.has(id)) return;
    try {
      const one = this.byId.get(id)![0]!;
      const job = await this.queues.job(one);
      let away: unknown;
      const isDone = await this.finish(id, job?.returnvalue ?? null).catch((cause: unknown) => {
        away = cause;
        return false;
      });
      if (isDone) return;
      const state = job === undefined ? 'unknown' : await job.getState();
      // Workers may have given it up for the very store that is away.
      if (state === 'failed') return this.fail(id, ofReason(job?.failedReason));
      if (away !== undefined) throw away;
      // Redis lost it, or the store its result.
      if (state === 'unknown' || state === 'completed') await this.queues.add(one);
    } catch (cause) {
      const found = diagnosticOf(cause);
      // A store that is away may come back; one that holds something else will not mend.
      if (found.code === 'store-damaged') this.fail(id, found);
      else if (found.message !== this.noted) this.settings.note((this.noted = found.message));
    }
  }

  /** Takes a result that is in the store. */
  private async finish(id: string, returned: Returned | null): Promise<boolean> {
    const result = await keptResult(this.settings.store, id);
    if (result === undefined) return false;
    const { seconds = null, by = null } = returned ?? {};
    this.settle(id, { result, failed: null, seconds, by });
    return true;
  }

  private fail(id: string, found: Diagnostic): void {
    this.settle(id, { result: null, failed: [found], seconds: null, by: null });
  }

  private settle(id: string, outcome: Omit<Outcome, 'cell' | 'id'>): void {
    this.open.delete(id);
    for (const one of this.byId.get(id)!) {
      if (this.outcomes.has(one)) continue;
      this.outcomes.set(one, { cell: one.cell, id, ...outcome });
      this.settings.told({ cell: one.cell, state: 'done', outcome: this.outcomes.get(one)! });
    }
  }
}
