import { Flags } from '@oclif/core';
import { worker, type WorkerResult } from '../index';
import { emptyName } from '../diagnostics';
import { RUN_FLAGS, RunCommand } from './support/run-command';

const { 'run-dir': runDir, workers, memory } = RUN_FLAGS;

export default class FleetWorker extends RunCommand {
  static override summary = 'do cells of matrices that others submit';
  static override description =
    'Takes jobs from a Redis, for whoever runs `matrix --redis` there, and leaves results in the store. Many workers may serve one Redis; each does what it has the labels, the memory and the kernels for. It builds only kernels that its own --kernels file lists, whatever a queue says. Log lines are JSON, on standard error. SIGTERM lets it finish what it does; killed, it costs the cells under way, which another worker does again.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --redis redis://queue:6379 --store /srv/klpflow',
    '<%= config.bin %> <%= command.id %> --redis redis://queue --store /srv/k --kernels k.yaml --label gcc-12',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    'run-dir': runDir,
    workers: { ...workers, description: 'cells at a time (default: one a core)' },
    memory: { ...memory, description: 'most memory of all cells together (default: what the machine has left)' },
    redis: Flags.string({
      description: 'the Redis that has the queues; rediss:// for TLS',
      helpValue: 'URL',
      env: 'KLPFLOW_REDIS',
      required: true,
    }),
    store: Flags.string({
      description: 'where objects are and results go: a folder that all machines see, or s3://BUCKET/FOLDER',
      helpValue: 'STORE',
      env: 'KLPFLOW_STORE',
      required: true,
    }),
    label: Flags.string({
      description: 'what kernels may ask for with labels',
      helpValue: 'LABEL',
      multiple: true,
      multipleNonGreedy: true,
    }),
    kernels: Flags.string({
      description: 'a file as for matrix, whose kernels this worker may build',
      helpValue: 'FILE',
    }),
    'stalled-after': Flags.integer({
      description: 'seconds without a sign after which a worker has lost its cells to others',
      helpValue: 'SECONDS',
      default: 30,
      min: 1,
      max: 3600,
    }),
    metrics: Flags.string({
      description: 'answer Prometheus at /metrics there (PORT alone: only this machine)',
      helpValue: '[HOST:]PORT',
    }),
    'idle-exit': Flags.integer({
      description: 'end after so long without work',
      helpValue: 'SECONDS',
      min: 0,
    }),
  };

  async run(): Promise<WorkerResult> {
    const { flags } = await this.parse(FleetWorker);
    const { redis, store, label: labels = [], kernels, metrics } = flags;
    if (store === '') throw emptyName('--store');
    const none = { fresh: false, progress: 'json', 'trace-out': undefined, btf: undefined };
    const result = await this.running({ ...flags, ...none }, (options) =>
      worker({
        ...options,
        ...{ redis, store, labels, kernels, metrics },
        stalledSeconds: flags['stalled-after'],
        idleSeconds: flags['idle-exit'],
        log: (event, fields) =>
          void process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`),
      }),
    );
    this.log(
      Object.entries(result.verdicts)
        .map(([verdict, count]) => `${count} ${verdict}`)
        .join(', ') || 'no cell was done',
    );
    return result;
  }
}
