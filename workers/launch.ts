/** The file that the pool's threads are started with: each loads `stage.ts` through V8's code cache. */
import { loadBundle } from '../src/launch';

export default loadBundle<typeof import('./stage')>('stage').exports.default;
