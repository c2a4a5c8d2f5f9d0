/**
 * What stays in Redis. Guarded against: queues of every version of klpflow and of every kernel that ever was, which fill it slowly; and a queue that is taken away from those who use it.
 */
import { Redis } from 'ioredis';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MatrixStatus } from '../../src/index';
import { writeFleet } from '../support/fleet';
import { RedisServer, missingRedis } from '../support/redis-server';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const reason = missingRedis();
const MONTH = 31 * 24 * 3600 * 1000;
let server: RedisServer;
let redis: Redis;

const submit = async (patches: number): Promise<string[]> => {
  const name = join(folder, `p${patches}`);
  mkdirSync(name, { recursive: true });
  await writeFleet(name, 1, patches);
  const place = ['--run-dir', join(folder, 'runs'), '--redis', server.url, '--store', join(folder, 'store')];
  const { stdout, stderr, status } = await running(
    ['matrix', join(name, 'fleet.yaml'), ...place, '--detach', '--json', '--progress', 'none'],
    { cwd: folder },
  );
  expect(status, stderr).toBe(0);
  return (JSON.parse(stdout) as MatrixStatus).cells.map(({ state }) => state);
};

describe.skipIf(reason !== undefined)(reason ?? 'with redis-server', () => {
  beforeAll(async () => {
    server = await RedisServer.start(join(folder, 'redis'));
    redis = new Redis(server.url, { maxRetriesPerRequest: null });
  });
  afterAll(async () => {
    redis?.disconnect();
    await server?.kill();
  });

  test('a queue into which nothing was put for a month is removed by the next submission, others stay', async () => {
    expect(await submit(1)).toEqual(['waiting']);
    const [name] = await redis.hkeys('klpflow:queues');
    // As one of another version: what a submission of this one does not use.
    const need = JSON.parse((await redis.hget('klpflow:queues', name!))!) as object;
    const { queueOf } = await import('../../src/fleet/redis/needs');
    const { canonical } = await import('../../src/fleet/job');
    const { Queue } = await import('bullmq');
    for (const [producer, age] of [
      ['long-ago', MONTH],
      ['last-week', MONTH / 4],
    ] as const) {
      const other = { ...need, producer } as Parameters<typeof queueOf>[0];
      const queue = new Queue(queueOf(other), { connection: redis });
      await queue.add('cell', {}, { jobId: 'left' });
      await redis.hset('klpflow:queues', queueOf(other), canonical(other));
      await redis.hset('klpflow:used', queueOf(other), Date.now() - age);
    }
    const producers = async (): Promise<string[]> =>
      (await redis.hvals('klpflow:queues')).map((text) => (JSON.parse(text) as { producer: string }).producer);
    const keys = async (): Promise<number> => (await redis.keys('bull:*:left')).length;
    expect(await keys()).toBe(2);

    expect(await submit(2)).toEqual(['waiting', 'waiting']);
    expect(await keys()).toBe(1);
    expect(await producers()).not.toContain('long-ago');
    expect(await producers()).toContain('last-week');
    expect((await redis.hkeys('klpflow:used')).sort()).toEqual((await redis.hkeys('klpflow:queues')).sort());
  });
});
