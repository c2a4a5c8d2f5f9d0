/**
 * A matrix by workers and Redis. Guarded against: a cell that is lost, done by halves or told twice when a worker, Redis or the store fails; other bytes than
 * the local run's; a payload that makes a worker read, build or do what it should not, or ends it. `npm run test:fleet` is the same with 200 cells.
 */
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { MatrixResult, MatrixStatus } from '../../src/index';
import { TestWorker, VERDICTS, cellFiles, lasting, writeFleet } from '../support/fleet';
import { RedisServer, missingRedis } from '../support/redis-server';
import { errorOf, running, type Ran } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const reason = missingRedis();
const CELLS = Number(process.env['KLPFLOW_FLEET_CELLS'] ?? 12);
const KERNELS = CELLS < 100 ? 4 : 20;
/** Seconds after which a worker that is not heard of has lost its cells. */
const STALLED = 3;

let server: RedisServer;
let local: MatrixResult;
const workers: TestWorker[] = [];

const parsed = <T = MatrixResult>({ stdout, stderr }: Ran): T => {
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout) as T;
};
const matrix = (file: string, out: string, ...more: string[]): Promise<Ran> =>
  running(['matrix', file, '-o', out, '--json', '--progress', 'none', ...more], { cwd: folder, hangsMs: 500_000 });
const remote = (out: string, store: string, ...more: string[]): Promise<Ran> =>
  matrix('fleet.yaml', out, '--run-dir', 'submitter', '--redis', server.url, '--store', store, ...more);
function worker(name: string, store: string, more: string[] = [], under: string[] = []): TestWorker {
  const argv = [
    '--run-dir',
    `runs-${name}`,
    '--redis',
    server.url,
    '--store',
    store,
    '--stalled-after',
    String(STALLED),
  ];
  workers.push(new TestWorker(folder, [...argv, ...more], under));
  return workers.at(-1)!;
}

describe.skipIf(reason !== undefined)(reason ?? 'with redis-server', () => {
  beforeAll(async () => {
    server = await RedisServer.start(join(folder, 'redis'));
    await writeFleet(folder, KERNELS, CELLS / KERNELS);
    local = parsed(await matrix('fleet.yaml', 'local', '--run-dir', 'alone'));
    // The premise: cells of every kind.
    expect(local.cells.length).toBe(CELLS);
    expect(new Set(local.cells.map(({ verdict }) => verdict))).toEqual(new Set(VERDICTS));
  }, 300_000);

  afterEach(async () => {
    await Promise.all(workers.splice(0).map((one) => one.end('SIGKILL')));
  });

  afterAll(() => server?.kill());

  test('every cell ends right, once, with the bytes of the local run, whatever fails meanwhile', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const all = new Map(names.map((name) => [name, worker(name, 'store')]));
    const [a, b] = [all.get('a')!, all.get('b')!];
    const running = remote('remote', 'store');

    // A worker is killed in the middle of a cell.
    const lost = await a.said(({ event }) => event === 'started');
    a.signal('SIGKILL');
    // Another one stops, loses its cell, and comes back to it.
    const stalled = await b.said(({ event }) => event === 'started');
    b.signal('SIGSTOP');
    // Redis is killed and comes back.
    await setTimeout(500);
    await server.kill();
    await setTimeout(1000);
    await server.start();
    await setTimeout((STALLED + 1) * 1000);
    b.signal('SIGCONT');
    worker('e', 'store');

    const result = parsed(await running);
    expect(lasting(result)).toBe(lasting(local));
    expect(cellFiles(join(folder, 'remote'))).toEqual(cellFiles(join(folder, 'local')));
    // The premise: those cells were under way, and were done by others.
    const byOthers = (job: string | undefined, not: TestWorker): boolean =>
      workers.some((one) => one !== not && one.lines.some((line) => line.event === 'done' && line.job === job));
    expect(byOthers(lost.job, a)).toBe(true);
    expect(stalled.job).toBeDefined();
    // What is in the store is whole, and nothing else is.
    const results = readdirSync(join(folder, 'store/results'), { recursive: true, encoding: 'utf8' });
    expect(results.filter((name) => name.endsWith('.json')).length).toBe(CELLS);
    expect(results.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  }, 600_000);

  test('submitted and left alone, asked for, and come back to', async () => {
    const left = await remote('detached', 'second', '--detach');
    expect(left.status).toBe(0);
    const states = ({ cells }: MatrixStatus): string[] => [...new Set(cells.map(({ state }) => state))];
    expect(states(parsed<MatrixStatus>(left))).toEqual(['waiting']);
    // No worker is needed to come and go, and nothing is submitted twice.
    expect(states(parsed<MatrixStatus>(await remote('detached', 'second', '--detach')))).toEqual(['waiting']);
    expect(states(parsed<MatrixStatus>(await remote('detached', 'second', '--status')))).toEqual(['waiting']);
    const one = worker('alone', 'second', ['--idle-exit', '2']);
    expect(await one.ended).toBe(0);
    expect(one.lines.filter(({ event }) => event === 'done').length).toBe(CELLS);
    expect(states(parsed<MatrixStatus>(await remote('detached', 'second', '--status')))).toEqual(['done']);
    expect(lasting(parsed(await remote('detached', 'second')))).toBe(lasting(local));
  }, 600_000);

  test('a store that is full is a state of the cell, and a later run goes on', async () => {
    writeFileSync(
      join(folder, 'one.yaml'),
      'kernels:\n  - { name: k0, orig: k0/orig.o }\npatches:\n  - { name: full, patched: k0/patched.o }\n',
    );
    const submit = (): Promise<Ran> =>
      matrix('one.yaml', 'full', '--run-dir', 'submitter', '--redis', server.url, '--store', 'store');
    // No file of this worker may be larger: that is what a full disk looks like to it.
    const full = worker('full', 'store', [], ['bash', '-c', 'ulimit -f 8; exec "$@"', 'worker']);
    const failed = parsed(await submit());
    expect(failed.cells[0]).toMatchObject({ verdict: 'failed', reasons: [{ code: 'no-space' }] });
    // It has tried more than once, and lives.
    expect(full.lines.filter(({ event, code }) => event === 'failed' && code === 'no-space').length).toBe(3);
    expect(await full.end()).toBe(0);
    worker('roomy', 'store');
    expect(parsed(await submit()).cells[0]).toMatchObject({ verdict: 'patchable', reasons: [] });
  }, 300_000);

  test('a forged or broken payload is a failed job, and the worker lives', async () => {
    const one = worker('forged', 'store');
    const { queue: name = '' } = (await one.said(({ event }) => event === 'serving')) as { queue?: string };
    const connection = new Redis(server.url, { maxRetriesPerRequest: null });
    const queue = new Queue(name, { connection });
    const blob = { sha256: '0'.repeat(64), bytes: 1 };
    const files = { orig: blob, patched: blob };
    const work = {
      kind: 'diff',
      name: 'livepatch-x',
      allow: [],
      description: null,
      replace: true,
      files,
      moduleImages: [],
      module: null,
    };
    const { producer } = one.lines.find(({ event }) => event === 'ready') as { producer?: string };
    const job = { schema: 'klpflow/job@1', producer, work };
    const { canonical } = await import('../../src/fleet/job');
    const { sha256 } = await import('../../src/fleet/digest');
    const named = (value: object): string => sha256(canonical(value));
    const build = {
      ...job,
      work: {
        kind: 'build',
        name: 'livepatch-x',
        allow: [],
        description: null,
        replace: true,
        kernel: blob.sha256,
        patches: [blob],
        strip: 1,
      },
    };
    const foreign = { ...job, producer: 'another' };
    const forged: Array<[id: string, data: unknown, code: string]> = [
      ['j1', 'rm -rf /', 'job-malformed'],
      ['j2', null, 'job-malformed'],
      ['j3', job, 'job-malformed'],
      [named({ ...job, command: 'make' }), { ...job, command: 'make' }, 'job-malformed'],
      [
        'j4',
        { ...job, work: { ...work, files: { ...files, orig: { sha256: '../../etc/passwd', bytes: 1 } } } },
        'job-malformed',
      ],
      ['j5', { ...job, work: { ...work, name: '../x' } }, 'job-malformed'],
      [named(build), build, 'job-not-allowed'],
      [named(foreign), foreign, 'job-not-allowed'],
      // All is well with it, but the store has no such content.
      [named(job), job, 'store-unavailable'],
    ];
    for (const [id, data] of forged) await queue.add('cell', data, { jobId: id });
    for (const [id, , code] of forged) {
      const line = await one.said(({ event, job: of }) => event === 'failed' && of === id);
      expect(line.code, id).toBe(code);
    }
    // And a list of queues that is none.
    await connection.hset('klpflow:queues', 'x', '{', 'y', '{"labels":7}', name, '[]');
    await queue.close();
    connection.disconnect();
    // Contents that are not what they are called are not worked on.
    writeFileSync(
      join(folder, 'two.yaml'),
      'kernels:\n  - { name: k1, orig: k1/orig.o }\npatches:\n  - { name: swapped, patched: k1/patched.o }\n',
    );
    const path = join(folder, 'k1/patched.o');
    const swapped = sha256(readFileSync(path));
    mkdirSync(join(folder, 'evil/blobs', swapped.slice(0, 2)), { recursive: true });
    const kept = join(folder, 'evil/blobs', swapped.slice(0, 2), swapped);
    copyFileSync(path, kept);
    const bytes = readFileSync(kept);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(kept, bytes);
    await one.end();
    worker('honest', 'evil');
    const evil = await matrix(
      'two.yaml',
      'evil-out',
      '--run-dir',
      'submitter',
      '--redis',
      server.url,
      '--store',
      'evil',
    );
    expect(parsed(evil).cells[0]).toMatchObject({ verdict: 'failed', reasons: [{ code: 'store-damaged' }] });
  }, 300_000);

  test('a cell waits for a worker that has its labels', async () => {
    writeFileSync(
      join(folder, 'labels.yaml'),
      'kernels:\n  - { name: k2, orig: k2/orig.o, labels: [big] }\npatches:\n  - { name: labelled, patched: k2/patched.o }\n',
    );
    const without = worker('small', 'store', ['--idle-exit', '2']);
    const submitted = matrix(
      'labels.yaml',
      'labels',
      '--run-dir',
      'submitter',
      '--redis',
      server.url,
      '--store',
      'store',
    );
    await without.ended;
    expect(without.lines.filter(({ event }) => event === 'started')).toEqual([]);
    worker('big', 'store', ['--label', 'big']);
    expect(parsed(await submitted).verdict).toBe('patchable');
  }, 300_000);

  test('a password is asked for, and not shown', async () => {
    const locked = await RedisServer.start(join(folder, 'locked'), ['--requirepass', 'opensesame']);
    try {
      const ask = (auth: string): Promise<Ran> =>
        matrix(
          'fleet.yaml',
          'locked-out',
          '--run-dir',
          'submitter',
          '--store',
          'third',
          '--redis',
          `redis://${auth}127.0.0.1:${locked.port}`,
          '--detach',
        );
      const wrong = await ask('default:wrong@');
      expect(errorOf(wrong).code).toBe('redis-unavailable');
      expect(wrong.stdout + wrong.stderr).not.toContain('wrong@');
      expect(errorOf(await ask('')).code).toBe('redis-unavailable');
      expect((await ask('default:opensesame@')).status).toBe(0);
    } finally {
      await locked.kill();
    }
  }, 120_000);

  test('what cannot be is told at once', async () => {
    const errors = [
      matrix('fleet.yaml', 'x', '--run-dir', 'submitter', '--redis', server.url),
      matrix('fleet.yaml', 'x', '--run-dir', 'submitter', '--redis', 'http://x', '--store', 's'),
      matrix('fleet.yaml', 'x', '--run-dir', 'submitter', '--redis', server.url, '--store', 's', '--fresh'),
    ];
    for (const one of errors) expect(errorOf(await one).code).toBe('usage');
  });
});
