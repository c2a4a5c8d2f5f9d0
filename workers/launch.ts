/** The file that the pool's threads are started with: each loads `stage.ts` through V8's code cache. */
import { workerData } from 'node:worker_threads';
import { loadBundle } from '../src/launch';
import type { SharedWithThreads } from '../src/pipeline/types';

export default loadBundle<typeof import('./stage')>('stage').exports.default;

Atomics.add((workerData as SharedWithThreads).loaded, 0, 1);
