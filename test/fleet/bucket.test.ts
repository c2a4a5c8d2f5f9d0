/**
 * A bucket as a store, against radosgw. Guarded against: bytes other than a folder's, a result that a second writer changes, a full or absent server that ends a worker, and
 * contents that are not what they are called.
 */
import {
  PutObjectCommand,
  CreateBucketCommand,
  ListObjectsV2Command,
  S3Client,
  GetObjectCommand,
} from '@aws-sdk/client-s3';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { BucketCache } from '../../src/fleet/bucket-cache';
import { BucketStore } from '../../src/fleet/bucket-store';
import { sha256 } from '../../src/fleet/digest';
import type { MatrixResult } from '../../src/index';
import { TestWorker, cellFiles, lasting, writeFleet } from '../support/fleet';
import { RedisServer, missingRedis } from '../support/redis-server';
import { errorOf, running, type Ran } from '../support/run-klpflow';
import { S3Server, missingBucket } from '../support/s3-server';
import { tempFolder } from '../support/temp-folder';
import { Readable } from 'node:stream';

const folder = tempFolder();
const reason =
  process.env['KLPFLOW_FLEET_CELLS'] === undefined
    ? 'npm run test:bucket has the tests with a bucket: its server takes long to start'
    : (missingBucket() ?? missingRedis());
const STORE = 's3://klpflow/fleet';
let bucket: S3Server;
let redis: RedisServer;
let client: S3Client;
const workers: TestWorker[] = [];

const parsed = ({ stdout, stderr }: Ran): MatrixResult => {
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout) as MatrixResult;
};
const matrix = (out: string, ...more: string[]): Promise<Ran> =>
  running(['matrix', 'fleet.yaml', '-o', out, '--json', '--progress', 'none', ...more], { cwd: folder });
function worker(name: string): TestWorker {
  const place = ['--run-dir', `runs-${name}`, '--redis', redis.url, '--store', STORE];
  workers.push(new TestWorker(folder, place));
  return workers.at(-1)!;
}
const keys = async (): Promise<string[]> => {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: 'klpflow' }));
  return Contents.map(({ Key }) => Key!);
};

describe.skipIf(reason !== undefined)(reason ?? 'with radosgw', () => {
  beforeAll(async () => {
    bucket = await S3Server.start(join(folder, 'ceph'));
    for (const [name, value] of Object.entries(bucket.environment)) vi.stubEnv(name, value);
    redis = await RedisServer.start(join(folder, 'redis'));
    client = new S3Client({ forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: 'klpflow' }));
    await writeFleet(folder, 2, 3);
  }, 120_000);

  afterEach(async () => {
    await Promise.all(workers.splice(0).map((one) => one.end('SIGKILL')));
  });

  afterAll(async () => {
    await Promise.all([bucket?.kill(), redis?.kill()]);
  });

  test('two workers and a bucket make what one machine and a folder make, and each object is there once', async () => {
    const local = parsed(await matrix('local', '--run-dir', 'alone'));
    worker('a');
    worker('b');
    const remote = parsed(await matrix('remote', '--run-dir', 'submitter', '--redis', redis.url, '--store', STORE));
    expect(lasting(remote)).toBe(lasting(local));
    expect(cellFiles(join(folder, 'remote'))).toEqual(cellFiles(join(folder, 'local')));
    const there = await keys();
    expect(there.filter((key) => key.startsWith('fleet/results/')).length).toBe(6);
    // Each under its own digest.
    const blobs = there.filter((key) => key.startsWith('fleet/blobs/'));
    expect(blobs.length).toBeGreaterThan(4);
    for (const Key of blobs) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: 'klpflow', Key }));
      expect(sha256(await Body!.transformToByteArray())).toBe(Key.split('/').at(-1));
    }
    // Without workers: all is there.
    const again = parsed(await matrix('again', '--run-dir', 'third', '--store', STORE));
    expect(again.run.cells.every(({ seconds }) => seconds === null)).toBe(true);
    expect(lasting(again)).toBe(lasting(local));
  }, 300_000);

  test('what is there is not written over; what is not whole is', async () => {
    const store = BucketStore.of('s3://klpflow/once', join(folder, 'cache'));
    await store.putResult('a'.repeat(64), 'first');
    await store.putResult('a'.repeat(64), 'second');
    expect(await store.result('a'.repeat(64))).toBe('first');
    expect(await store.result('b'.repeat(64))).toBeUndefined();
    const path = join(folder, 'content');
    writeFileSync(path, 'whole');
    const blob = { sha256: sha256('whole'), bytes: 5 };
    const Key = `once/blobs/${blob.sha256.slice(0, 2)}/${blob.sha256}`;
    await client.send(new PutObjectCommand({ Bucket: 'klpflow', Key, Body: 'who' }));
    await expect(store.file(blob)).rejects.toMatchObject({ code: 'store-damaged' });
    await store.put(blob, path);
    expect(readFileSync(await store.file(blob), 'utf8')).toBe('whole');
    // Of the same size, and something else.
    const other = { sha256: sha256('other'), bytes: 5 };
    await client.send(
      new PutObjectCommand({
        Bucket: 'klpflow',
        Key: `once/blobs/${other.sha256.slice(0, 2)}/${other.sha256}`,
        Body: 'OTHER',
      }),
    );
    await expect(store.file(other)).rejects.toMatchObject({ code: 'store-damaged' });
    expect(readdirSync(join(folder, 'cache'))).toEqual([blob.sha256]);
    await expect(store.file({ sha256: 'c'.repeat(64), bytes: 1 })).rejects.toMatchObject({ code: 'store-unavailable' });
  });

  test('a forged result is a failed cell', async () => {
    const { cells } = parsed(await matrix('forged', '--run-dir', 'alone'));
    const Key = `forged/results/${cells[0]!.job!.slice(0, 2)}/${cells[0]!.job}.json`;
    await client.send(new PutObjectCommand({ Bucket: 'klpflow', Key, Body: '{"schema":"klpflow/cell@1","job":"x"}' }));
    const found = parsed(await matrix('forged', '--run-dir', 'forged-runs', '--store', 's3://klpflow/forged'));
    expect(found.cells[0]).toMatchObject({ verdict: 'failed', reasons: [{ code: 'store-damaged' }] });
    expect(found.cells.slice(1).some(({ verdict }) => verdict === 'failed')).toBe(false);
  });

  test('a bucket that is full, away, or refuses is told, and a later run goes on', async () => {
    const tried = (store = 's3://klpflow/later'): Promise<Ran> =>
      matrix('later', '--run-dir', 'later-runs', '--store', store);
    bucket.limit(1);
    const full = parsed(await tried());
    expect(new Set(full.cells.map(({ reasons }) => reasons[0]?.code))).toEqual(new Set(['no-space']));
    bucket.limit(-1);
    await bucket.stopGateway();
    expect(errorOf(await tried()).code).toBe('store-unavailable');
    await bucket.startGateway();
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wrong');
    const refused = await tried();
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', bucket.environment['AWS_SECRET_ACCESS_KEY']!);
    expect(errorOf(refused)).toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining('SignatureDoesNotMatch'),
    });
    expect(errorOf(await tried('s3://absent-bucket')).code).toBe('store-unavailable');
    expect(parsed(await tried()).cells.some(({ verdict }) => verdict === 'failed')).toBe(false);
    expect(errorOf(await tried('s3://UPPER/x')).code).toBe('usage');
  }, 120_000);
});

test('what was fetched longest ago goes when there is too much, but nothing that may be in use', async () => {
  const place = join(folder, 'small');
  mkdirSync(place);
  const blobOf = (text: string): { sha256: string; bytes: number } => ({ sha256: sha256(text), bytes: text.length });
  const cache = new BucketCache(place, 10);
  let fetched = 0;
  const file = (text: string): Promise<string> =>
    cache.file(blobOf(text), async () => {
      fetched++;
      return Readable.from([Buffer.from(text)]);
    });
  const [first] = await Promise.all([file('12345678'), file('12345678')]);
  expect(fetched).toBe(1);
  await file('abcdefgh');
  expect(readdirSync(place).length).toBe(2);
  const { utimesSync } = await import('node:fs');
  utimesSync(first, 1, 1);
  await file('ABCDEFGH');
  expect(readdirSync(place).sort()).toEqual([sha256('abcdefgh'), sha256('ABCDEFGH')].sort());
  rmSync(place, { recursive: true });
});
