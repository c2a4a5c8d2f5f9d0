import { availableParallelism } from 'node:os';
import type { CheckedObject } from '../stages/checksum';
import { Pool } from './pool';

/** From this size on an object is worth other threads than this one. */
const LARGE = 32e6;

/** How many besides this one fill in the checksums of an object of so many bytes. */
export function checksumThreads(bytes: number): number {
  return bytes < LARGE ? 0 : availableParallelism() - 1;
}

/** Fills in the checksums of an object: this thread and others, each a shard at a time. @throws KlpflowError `malformed-elf` */
export async function fillChecksums(object: CheckedObject, threads: number): Promise<void> {
  const { elf, memory } = object;
  if (threads === 0) return object.hash(1, elf.symbolCount);
  const { path, identity } = elf.file;
  const pool = Pool.of(threads, true);
  try {
    const task = { input: { path, identity, copy: null }, memory };
    const others = Promise.allSettled(Array.from({ length: threads }, () => pool.run('checksum', task)));
    // Whatever this thread meets: another may have met something before it in the table.
    await object.hashShards().catch(() => undefined);
    // Those that have taken shards answer when these are done; who has not begun by now need not.
    if (!object.isDone) await others;
    // A thread was lost, or there is an error: this one finds the first.
    if (!object.isDone) object.hash(1, elf.symbolCount);
  } finally {
    // A thread that is still starting would be waited for: it ends by itself.
    void pool.close();
  }
}
