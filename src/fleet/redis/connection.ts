/** The way to Redis: by URL, with user, password and TLS. */
import type { Redis } from 'ioredis';
import { KlpflowError } from '../../diagnostics';

/** Longer than a Redis that is there takes to answer. */
const FIRST_MS = 10_000;

/**
 * A connection. One that was there once is waited for, however long it is away: a Redis that restarts costs time and no work.
 * @throws KlpflowError `usage`, `redis-unavailable` where it never was
 */
export async function connect(url: string, lost: (why: string) => void): Promise<Redis> {
  const shown = withoutPassword(url);
  const ioredis = await import('ioredis');
  const redis = new ioredis.Redis(url, {
    // BullMQ's workers need it so: a command waits for Redis.
    maxRetriesPerRequest: null,
    lazyConnect: true,
    connectTimeout: FIRST_MS,
    retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 6), 5000),
  });
  let first = true;
  let last = '';
  redis.on('error', (error: Error) => {
    const why = error.message === '' ? ((error as NodeJS.ErrnoException).code ?? 'no answer') : error.message;
    if (!first && why !== last) lost(`Redis ${shown}: ${why}; waiting for it`);
    last = why;
  });
  redis.on('ready', () => (last = ''));
  const refuse = (why: string): KlpflowError => {
    redis.disconnect();
    return new KlpflowError('redis-unavailable', `Redis ${shown}: ${why}`);
  };
  const answered = redis.connect().then(() => redis.ping());
  answered.catch(() => undefined);
  const timer = new AbortController();
  try {
    await Promise.race([answered, wait(FIRST_MS, timer.signal)]);
  } catch (cause) {
    throw refuse(last === '' ? (cause as Error).message : last);
  } finally {
    timer.abort();
  }
  if (redis.status !== 'ready') throw refuse(last === '' ? 'it does not answer' : last);
  first = false;
  return redis;
}

/** @throws KlpflowError `usage` */
function withoutPassword(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new KlpflowError('usage', '--redis: give redis://HOST:PORT, or rediss://USER:PASSWORD@HOST:PORT for TLS');
  }
  if (parsed.protocol !== 'redis:' && parsed.protocol !== 'rediss:')
    throw new KlpflowError('usage', `--redis: ${parsed.protocol}// is not redis:// or rediss://`);
  if (parsed.password !== '') parsed.password = '***';
  return parsed.href;
}

function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
