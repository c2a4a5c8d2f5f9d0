/** What a worker must be to do a job, and the queue of all jobs that need the same. BullMQ has no labels: there is a queue for each need, in a list that workers read. */
import type { Redis } from 'ioredis';
import { sha256 } from '../digest';
import { canonical } from '../job';
import type { Prepared } from '../prepare';

export interface Need {
  /** The code of klpflow. */
  producer: string;
  labels: string[];
  /** Anonymous memory, rounded up to a power of two of gigabytes: as many queues as there are sizes. */
  memory: number;
  /** The kernel that it must be able to build, by digest; null for objects that are there. */
  kernel: string | null;
}

export interface Abilities {
  producer: string;
  labels: ReadonlySet<string>;
  memory: number;
  kernels: ReadonlySet<string>;
}

const GIGABYTE = 1e9;
const LIST = 'klpflow:queues';
/** When something was put into each the last time, in milliseconds. */
const USED = 'klpflow:used';

export function needOf({ job, cell, bytes }: Prepared): Need {
  let memory = GIGABYTE;
  while (memory < bytes) memory *= 2;
  const { work, producer } = job;
  return {
    producer,
    labels: [...cell.kernel.labels].sort(),
    memory,
    kernel: work.kind === 'build' ? work.kernel : null,
  };
}

export function queueOf(need: Need): string {
  return `klpflow-${sha256(canonical(need)).slice(0, 24)}`;
}

export function fits(need: Need, able: Abilities): boolean {
  return (
    need.producer === able.producer &&
    need.memory <= Math.max(able.memory, GIGABYTE) &&
    need.labels.every((label) => able.labels.has(label)) &&
    (need.kernel === null || able.kernels.has(need.kernel))
  );
}

/** Makes a queue known to workers. */
export async function announce(redis: Redis, need: Need): Promise<void> {
  const queue = queueOf(need);
  await redis.hset(LIST, queue, canonical(need));
  await redis.hset(USED, queue, Date.now());
}

/** Queues of the list into which nothing was put for so long. */
export async function longUnused(redis: Redis, milliseconds: number): Promise<string[]> {
  const used = await redis.hgetall(USED);
  const before = Date.now() - milliseconds;
  return (await announced(redis)).flatMap(({ queue }) => (Number(used[queue]) < before ? [queue] : []));
}

/** Nobody is to look for the queue any more. */
export async function takeBack(redis: Redis, queue: string): Promise<void> {
  await redis.hdel(LIST, queue);
  await redis.hdel(USED, queue);
}

/** Queues that there are. Anybody may have written the list: what is no need is passed over. */
export async function announced(redis: Redis): Promise<Array<{ queue: string; need: Need }>> {
  const all = await redis.hgetall(LIST);
  return Object.entries(all).flatMap(([queue, text]) => {
    try {
      const need = JSON.parse(text) as Need;
      return queueOf(need) === queue && Array.isArray(need.labels) ? [{ queue, need }] : [];
    } catch {
      return [];
    }
  });
}
