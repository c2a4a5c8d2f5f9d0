import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where klpflow keeps what later runs use: `KLPFLOW_CACHE_DIR`, else a folder of the user's cache (XDG). */
export function cacheFolder(): string {
  const { KLPFLOW_CACHE_DIR: own, XDG_CACHE_HOME: caches } = process.env;
  return own || join(caches || join(homedir(), '.cache'), 'klpflow');
}

/** The run directory where none is named. */
export function defaultRunDir(): string {
  return join(cacheFolder(), 'runs');
}
