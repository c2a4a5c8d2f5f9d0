/** A worker, from its configuration to its end. */
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { isRefused } from '../diagnostics';
import { memoryLeft } from '../pipeline/memory';
import type { RunOptions } from '../pipeline/flow';
import { RunDir } from '../pipeline/run-dir';
import { PRODUCER } from '../records';
import { Digests } from './digest';
import { builtKernelsOf, type BuiltKernel } from './matrix';
import { readMatrixFile } from './matrix-file';
import { recipeOf } from './recipe';
import { metricsPlace } from './redis/metrics';
import { removeAbandoned } from './run';
import { storeCalled } from './stores';

export interface WorkerRequest extends RunOptions {
  redis: string;
  store: string;
  labels: readonly string[];
  /** A file whose `kernels` this worker builds; without it, it builds none. */
  kernels?: string | undefined;
  stalledSeconds: number;
  idleSeconds?: number | undefined;
  /** `PORT` or `HOST:PORT`, where Prometheus may ask. */
  metrics?: string | undefined;
  signal: AbortSignal;
  log: (event: string, fields: object) => void;
}

export interface WorkerResult {
  schema: 'klpflow/worker@1';
  /** How many cells came to what. */
  verdicts: Record<string, number>;
  seconds: number;
}

/** Works until it is to stop. @throws KlpflowError `redis-unavailable`, `malformed-matrix`, `run-dir-unusable` */
export async function serveQueues(request: WorkerRequest): Promise<WorkerResult> {
  const { redis, runDir, workers, memory, stalledSeconds, idleSeconds, signal, log } = request;
  const metrics = request.metrics === undefined ? undefined : metricsPlace(request.metrics);
  RunDir.open(runDir, request.fresh === true);
  removeAbandoned(join(runDir, 'jobs'));
  const kernels = await kernelsOf(request);
  const able = { producer: PRODUCER, labels: new Set(request.labels), memory: memory ?? memoryLeft() };
  const { FleetWorker } = await import('./redis/worker');
  const worker = await FleetWorker.of({
    ...{ redis, runDir, kernels, able, signal, log },
    store: storeCalled(request.store, runDir),
    slots: workers,
    metrics,
    threads: 1,
    stalledMs: stalledSeconds * 1000,
    idleMs: idleSeconds === undefined ? undefined : idleSeconds * 1000,
  });
  log('ready', {
    producer: PRODUCER,
    labels: [...able.labels],
    memory: able.memory,
    slots: workers,
    kernels: kernels.size,
  });
  await worker.run();
  const { verdicts, seconds } = worker.counts;
  log('end', { verdicts });
  return { schema: 'klpflow/worker@1', verdicts, seconds };
}

/** Kernels that can be built here; one that cannot is told, and left to other workers. */
async function kernelsOf(request: WorkerRequest): Promise<Map<string, BuiltKernel>> {
  const { kernels: file, runDir, log } = request;
  const found = new Map<string, BuiltKernel>();
  if (file === undefined) return found;
  const folder = join(runDir, 'digests');
  mkdirSync(folder, { recursive: true });
  for (const kernel of builtKernelsOf(await readMatrixFile(file, 'kernels'))) {
    const { digest, problems } = await recipeOf(kernel, request, new Digests(folder), folder);
    const wrong = problems.filter((one) => isRefused([one]) || one.severity === 'error');
    for (const { code, message } of wrong) log('kernel', { name: kernel.name, code, message });
    if (digest !== undefined && wrong.length === 0) found.set(digest, kernel);
  }
  return found;
}
