/** The file that the pool's threads are started with: each loads `stage.ts` through V8's code cache. */
import { workerData } from 'node:worker_threads';
import { loadBundle } from '../src/launch';
import { compileLess } from '../src/v8-flags';
import type { SharedWithThreads } from '../src/pipeline/types';

export default loadBundle<typeof import('./stage')>('stage').exports.default;

if (Atomics.sub((workerData as SharedWithThreads).starting, 0, 1) === 1) compileLess();
