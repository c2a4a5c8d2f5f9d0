/**
 * A store that goes while a matrix is watched. Guarded against: a watcher that waits for it for ever, although every worker has given the cells up.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MatrixResult } from '../../src/index';
import { TestWorker, writeFleet } from '../support/fleet';
import { RedisServer, missingRedis } from '../support/redis-server';
import { running, type Ran } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const reason = missingRedis();
let server: RedisServer;

const codes = ({ stdout, stderr }: Ran): string[] => {
  expect(stdout, stderr).toMatch(/^\{/);
  return (JSON.parse(stdout) as MatrixResult).cells.map(({ verdict, reasons }) => reasons[0]?.code ?? verdict);
};

describe.skipIf(reason !== undefined)(reason ?? 'with redis-server', () => {
  beforeAll(async () => {
    server = await RedisServer.start(join(folder, 'redis'));
    await writeFleet(folder, 1, 1);
    mkdirSync(join(folder, 'store'));
  });
  afterAll(() => server?.kill());

  test('the cell has failed with that while it is away, and the same command goes on when it is back', async () => {
    const place = ['--redis', server.url, '--store', join(folder, 'store')];
    let submitted = (): void => undefined;
    const inQueue = new Promise<void>((resolve) => (submitted = resolve));
    const watch = (): Promise<Ran> =>
      running(['matrix', 'fleet.yaml', '--run-dir', 'runs', '--json', '--progress', 'lines', ...place], {
        cwd: folder,
        onLine: (line) => void (line.includes('jobs are in the queue') && submitted()),
      });
    const watched = watch();
    await inQueue;
    renameSync(join(folder, 'store'), join(folder, 'elsewhere'));
    writeFileSync(join(folder, 'store'), '');
    const worker = new TestWorker(folder, ['--run-dir', 'worker', ...place]);
    expect(codes(await watched)).toEqual(['store-unavailable']);
    expect(worker.lines.filter(({ code }) => code === 'store-unavailable').length).toBe(3);
    rmSync(join(folder, 'store'));
    renameSync(join(folder, 'elsewhere'), join(folder, 'store'));
    expect(codes(await watch())).toEqual(['patchable']);
    expect(await worker.end()).toBe(0);
  }, 120_000);
});
