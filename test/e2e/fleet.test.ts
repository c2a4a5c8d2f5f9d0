/**
 * Cells that are built: two stock kernels of Debian by three patches. What shows only here: trees that one run prepares and the other takes, a worker that
 * builds what its own file lists and nothing else, and that both make the same bytes.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, type TestContext } from 'vitest';
import type { MatrixCheck, MatrixResult, MatrixStatus } from '../../src/index';
import { TestWorker, cellFiles, lasting } from '../support/fleet';
import { RedisServer, missingRedis } from '../support/redis-server';
import { running, type Ran } from '../support/run-klpflow';
import { patchOf } from '../support/small-kernel';
import { tempFolder } from '../support/temp-folder';
import { CACHE, debianKernel, versionsOf, type Packages } from './packages';

const folder = tempFolder();
const found = versionsOf('6.12').slice(0, 2).map(debianKernel);
const reason =
  found.length < 2
    ? 'no Debian kernels: apt-cache knows fewer than two of 6.12'
    : (found.find((one) => typeof one === 'string') ?? missingRedis());
const [newer, older] = found as [Packages, Packages];
/** Kept from run to run: preparing a tree takes minutes. */
const runs = join(CACHE, 'runs');
let server: RedisServer;
let local: MatrixResult;

function skipWithout(context: TestContext): void {
  if (reason !== undefined) context.skip(reason);
}

const parsed = <T>({ stdout, stderr }: Ran): T => {
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout) as T;
};
const matrix = (file: string, ...more: string[]): Promise<Ran> =>
  running(['matrix', file, '--run-dir', runs, '--json', '--progress', 'lines', ...more], {
    cwd: folder,
    hangsMs: 3_000_000,
  });
const kernelOf = ({ source, release, root }: Packages, name: string): string =>
  `  - { name: ${name}, source: ${source}, kernel: ${release}, root: ${root} }`;

/** One that is patched, one of a module, and one that nothing may do to a kernel that runs. */
const PATCHES = {
  buffers: ['fs/proc/meminfo.c', '"Buffers:        "', '"BUFFERS:        "'],
  binfmt: ['fs/binfmt_misc.c', '"enabled\\n"', '"ENABLED\\n"'],
  pipes: ['fs/pipe.c', 'pipe_max_size = 1048576', 'pipe_max_size = 2097152'],
} as const;

beforeAll(async () => {
  if (reason !== undefined) return;
  const sources = join(folder, 'sources');
  mkdirSync(sources);
  const names = Object.values(PATCHES).map(([file]) => `*/${file}`);
  execFileSync('tar', ['-xf', newer.source, '-C', sources, '--strip-components=1', '--wildcards', ...names]);
  for (const [name, [file, from, to]] of Object.entries(PATCHES))
    writeFileSync(join(folder, `${name}.patch`), patchOf(sources, file, from, to));
  const patches = ['patches:', ...Object.keys(PATCHES).map((name) => `  - { name: ${name}, files: ${name}.patch }`)];
  const kernels = ['kernels:', kernelOf(newer, 'newer'), kernelOf(older, 'older')];
  writeFileSync(join(folder, 'fleet.yaml'), [...kernels, ...patches, ''].join('\n'));
  for (const [name, one] of Object.entries({ newer, older }))
    writeFileSync(join(folder, `${name}.yaml`), ['kernels:', kernelOf(one, 'mine'), ''].join('\n'));
  server = await RedisServer.start(join(folder, 'redis'));
});

afterAll(() => server?.kill());

/** A tree's `.config` is made once, when it is prepared. */
const prepared = (): string[] =>
  readdirSync(join(runs, 'builds'))
    .map((name) => join(runs, 'builds', name, 'tree/.config'))
    .flatMap((path) => {
      const config = statSync(path, { throwIfNoEntry: false });
      return config === undefined ? [] : [`${path} ${config.ino} ${config.mtimeMs}`];
    })
    .sort();

test('each kernel is prepared once, and every cell has its verdict', { timeout: 3_600_000 }, async (context) => {
  skipWithout(context);
  expect(parsed<MatrixCheck>(await matrix('fleet.yaml', '--check'))).toMatchObject({ ok: true, cells: 6 });
  local = parsed(await matrix('fleet.yaml', '-o', 'local'));
  expect(local.cells.map(({ kernel, patch, verdict }) => `${kernel} ${patch} ${verdict}`)).toEqual([
    'newer buffers patchable',
    'newer binfmt patchable',
    'newer pipes refused',
    'older buffers patchable',
    'older binfmt patchable',
    'older pipes refused',
  ]);
  expect(local.differences).toEqual([]);
  expect(local.cells[2]!.reasons.map(({ code }) => code)).toContain('changed-data');
  for (const { kernel, patch, livepatch } of local.cells) {
    if (livepatch === null) continue;
    const module = join(folder, 'local', kernel, `livepatch-${patch}.ko`);
    const { image } = kernel === 'newer' ? newer : older;
    const { status, stdout } = await running(['verify', module, '--vmlinux', image], { hangsMs: 300_000 });
    expect(status, stdout).toBe(0);
  }
});

test('a worker builds what its own file lists; another does the rest, with the same bytes', {
  timeout: 3_600_000,
}, async (context) => {
  skipWithout(context);
  const before = prepared();
  expect(before.length).toBeGreaterThanOrEqual(2);
  const remote = (...more: string[]): Promise<Ran> =>
    matrix('fleet.yaml', '-o', 'remote', '--redis', server.url, '--store', 'store', ...more);
  const serve = async (kernels: string): Promise<TestWorker> => {
    const place = ['--run-dir', runs, '--redis', server.url, '--store', 'store'];
    const one = new TestWorker(folder, [...place, '--kernels', `${kernels}.yaml`, '--idle-exit', '5']);
    expect(await one.ended, JSON.stringify(one.lines.slice(-3))).toBe(0);
    return one;
  };
  expect((await remote('--detach')).status).toBe(0);
  const first = await serve('newer');
  expect(first.lines.filter(({ event }) => event === 'done').length).toBe(3);
  const { cells } = parsed<MatrixStatus>(await remote('--status'));
  expect(cells.map(({ kernel, state }) => `${kernel} ${state}`)).toEqual([
    ...Array<string>(3).fill('newer done'),
    ...Array<string>(3).fill('older waiting'),
  ]);
  await serve('older');
  expect(lasting(parsed(await remote()))).toBe(lasting(local));
  expect(cellFiles(join(folder, 'remote'))).toEqual(cellFiles(join(folder, 'local')));
  for (const line of readFileSync(join(folder, 'remote/matrix.json'), 'utf8').split('\n'))
    expect(line).not.toContain(CACHE.concat('/runs/builds'));
  // Nothing was prepared again.
  expect(prepared()).toEqual(before);
});
