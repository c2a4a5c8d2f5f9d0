/** A machine that takes jobs from queues: what it can do, as many at a time as it has room for. */
import { mkdirSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { KlpflowError, diagnosticOf, type DiagnosticCode } from '../../diagnostics';
import { Digests, type Blob } from '../digest';
import { blobsOf, jobId, type Job } from '../job';
import type { BuiltKernel } from '../matrix';
import type { CellResult } from '../perform';
import { Slot } from '../slot';
import { damaged, keep, type Store } from '../store';
import { connect } from './connection';
import type { Counts } from './counts';
import { MetricsServer, type MetricsPlace } from './metrics';
import { announced, fits, type Abilities, type Need } from './needs';
import { asReason, checker, type Checked, type Returned } from './payload';

export interface WorkerSettings {
  redis: string;
  store: Store;
  runDir: string;
  /** Jobs at a time, and the threads of each. */
  slots: number;
  threads: number;
  able: Omit<Abilities, 'kernels'>;
  /** Kernels that it builds, by digest. Nothing else is ever built, whatever a queue says. */
  kernels: ReadonlyMap<string, BuiltKernel>;
  /** A worker that was not heard of for so long has lost its job to another. */
  stalledMs: number;
  /** Ends when there was nothing to do for so long. */
  idleMs?: number | undefined;
  /** Where Prometheus may ask. */
  metrics?: MetricsPlace | undefined;
  signal: AbortSignal;
  log: (event: string, fields: object) => void;
}

/** What passes, or is another machine's business: the job is tried again. */
const AGAIN: ReadonlySet<DiagnosticCode> = new Set<DiagnosticCode>([
  'build-tool-missing',
  'cell-lost',
  'interrupted',
  'memory-too-small',
  'no-space',
  'store-unavailable',
]);

const LIST_MS = 1000;

export class FleetWorker {
  readonly counts: Counts = { verdicts: {}, seconds: 0, active: 0 };
  private readonly workers = new Map<string, Worker>();
  /** BullMQ leaves open what it did not open. */
  private readonly connections: Redis[] = [];
  private readonly idle: Slot[] = [];
  private readonly waiting: Array<() => void> = [];
  private readonly digests: Digests;
  private used = 0;
  private lastUse = performance.now();

  private constructor(
    private readonly redis: Redis,
    private readonly check: Checked,
    private readonly settings: WorkerSettings,
  ) {
    this.digests = new Digests(join(settings.runDir, 'digests'));
  }

  /** @throws KlpflowError `redis-unavailable` */
  static async of(settings: WorkerSettings): Promise<FleetWorker> {
    const redis = await connect(settings.redis, (why) => settings.log('redis', { why }));
    return new FleetWorker(redis, await checker(), settings);
  }

  /** Works until it is to stop: then jobs under way are finished. */
  async run(): Promise<void> {
    const { signal, idleMs, kernels, able, metrics: place, log } = this.settings;
    let metrics: MetricsServer | undefined;
    try {
      if (place !== undefined) {
        const queues = (): string[] => [...this.workers.keys()];
        metrics = await MetricsServer.of(place, this.redis, { queues, counts: this.counts });
        log('metrics', { host: place.host, port: metrics.port });
      }
      while (!signal.aborted) {
        for (const { queue, need } of await announced(this.redis))
          if (!this.workers.has(queue) && fits(need, { ...able, kernels: new Set(kernels.keys()) }))
            await this.serve(queue, need);
        if (idleMs !== undefined && this.counts.active === 0 && performance.now() - this.lastUse > idleMs) break;
        await pause(LIST_MS, signal);
      }
    } finally {
      await Promise.allSettled([...this.workers.values()].map((worker) => worker.close()));
      for (const slot of this.idle) slot.close();
      await metrics?.close();
      for (const connection of [...this.connections, this.redis]) connection.disconnect();
    }
  }

  private async serve(queue: string, need: Need): Promise<void> {
    const { Worker: Bull, UnrecoverableError } = await import('bullmq');
    const { slots, stalledMs, log } = this.settings;
    const connection = this.redis.duplicate();
    this.connections.push(connection);
    // A Redis that is away says the same every few seconds.
    let said = '';
    const worker = new Bull<unknown, Returned>(
      queue,
      async ({ id, data }) => {
        said = '';
        try {
          return await this.one(id, data, need.memory);
        } catch (cause) {
          const found = diagnosticOf(cause);
          log('failed', { job: id, code: found.code, message: found.message });
          this.count('failed', 0);
          const reason = asReason(found);
          throw AGAIN.has(found.code) ? new Error(reason) : new UnrecoverableError(reason);
        }
      },
      {
        connection,
        concurrency: slots,
        lockDuration: stalledMs,
        stalledInterval: stalledMs,
        // A machine that dies takes its job with it; that a job kills machines shows after some.
        maxStalledCount: 3,
        metrics: { maxDataPoints: 60 },
      },
    );
    worker.on('error', ({ message }) => {
      if (message !== said) log('error', { queue, message });
      said = message;
    });
    worker.on('stalled', (job) => log('stalled', { job }));
    this.workers.set(queue, worker);
    log('serving', { queue, need });
  }

  private async one(id: string | undefined, data: unknown, memory: number): Promise<Returned> {
    const { store, kernels, able, log } = this.settings;
    const by = `${hostname()}:${process.pid}`;
    const job = this.check(id, data);
    if (job.producer !== able.producer)
      throw new KlpflowError('job-not-allowed', `the job is for ${job.producer}, and this is ${able.producer}`);
    const kernel = job.work.kind === 'build' ? kernels.get(job.work.kernel) : undefined;
    if (job.work.kind === 'build' && kernel === undefined)
      throw new KlpflowError('job-not-allowed', `this worker does not build the kernel ${job.work.kernel}`);
    if ((await store.result(id!)) !== undefined) return { seconds: null, by };
    const slot = await this.room(memory);
    const started = performance.now();
    try {
      log('started', { job: id, kind: job.work.kind, name: job.work.name });
      const text = await this.done(job, kernel, slot);
      const seconds = (performance.now() - started) / 1000;
      const { verdict } = JSON.parse(text) as CellResult;
      this.count(verdict, seconds);
      log('done', { job: id, verdict, seconds: Number(seconds.toFixed(3)) });
      return { seconds, by };
    } finally {
      this.leave(slot, memory);
    }
  }

  private async done(job: Job, kernel: BuiltKernel | undefined, slot: Slot): Promise<string> {
    const { runDir, store, threads } = this.settings;
    const id = jobId(job);
    mkdirSync(join(runDir, 'jobs'), { recursive: true });
    const folder = join(runDir, 'jobs', `${id}-${process.pid}`);
    try {
      const files: Record<string, string> = {};
      for (const blob of blobsOf(job)) files[blob.sha256] = await this.fetched(blob);
      const { text, livepatch } = await slot.run(job, { folder, files, kernel, runDir, workers: threads });
      await keep(store, id, text, livepatch);
      return text;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Whoever wrote the store: what is worked on is what the job says. */
  private async fetched(blob: Blob): Promise<string> {
    const path = await this.settings.store.file(blob);
    if ((await this.digests.of(path)).sha256 !== blob.sha256) throw damaged(this.settings.store.name, blob);
    return path;
  }

  /** Each queue may have jobs for all slots: those that find no room wait here. One always has. */
  private async room(memory: number): Promise<Slot> {
    const { slots, able } = this.settings;
    while (this.counts.active >= slots || (this.counts.active > 0 && this.used + memory > able.memory))
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.counts.active++;
    this.used += memory;
    return this.idle.pop() ?? new Slot();
  }

  private leave(slot: Slot, memory: number): void {
    this.idle.push(slot);
    this.counts.active--;
    this.used -= memory;
    this.lastUse = performance.now();
    for (const next of this.waiting.splice(0)) next();
  }

  private count(verdict: string, seconds: number): void {
    this.counts.verdicts[verdict] = (this.counts.verdicts[verdict] ?? 0) + 1;
    this.counts.seconds += seconds;
    this.lastUse = performance.now();
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const early = (): void => {
      clearTimeout(timer);
      resolve();
    };
    signal.addEventListener('abort', early, { once: true });
    setTimeout(() => signal.removeEventListener('abort', early), milliseconds).unref();
  });
}
