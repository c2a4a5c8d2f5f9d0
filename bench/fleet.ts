/**
 * `npm run bench:fleet`: what a cell of a matrix costs beside the bare comparison, on one machine and by Redis and workers; how time and Redis' memory grow with the cells. The
 * objects are tiny and all the same, so that what is measured is the way, not the work.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { diff } from '../src/index';
import { writePair } from '../src/synth';
import { inScratch } from './program';

const USAGE = `Measures the overhead of cells of a matrix.

  npm run bench:fleet -- [options]

  --cells N,...   how many, each a row (default 250,1000)
  --functions N   of the tiny kernel (default 30)

Needs redis-server.
`;
const MAIN = join(__dirname, 'main.js');
/** Most that a cell may cost beside the comparison: on one machine, and by Redis. */
const LIMITS_MS = { here: 10, redis: 60 } as const;

interface Row {
  cells: number;
  bare: number;
  here: number;
  submitted: number;
  redisBytes: number;
  one: number;
  two: number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      cells: { type: 'string', default: '250,1000' },
      functions: { type: 'string', default: '30' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const counts = values.cells.split(',').map(Number);
  return inScratch(async (scratch) => {
    const [orig, patched] = [join(scratch, 'orig.o'), join(scratch, 'patched.o')];
    await writePair({ functions: Number(values.functions), seed: 1, changes: { immediates: 2 } }, orig, patched);
    const rows: Row[] = [];
    for (const cells of counts) {
      process.stderr.write(`${cells} cells\n`);
      rows.push(await row(join(scratch, String(cells)), cells, { orig, patched }));
    }
    process.stdout.write(table(rows));
    return 0;
  });
}

async function row(folder: string, cells: number, pair: { orig: string; patched: string }): Promise<Row> {
  mkdirSync(folder);
  const patches = Array.from({ length: cells }, (_, i) => `  - { name: p${i}, patched: ${pair.patched} }`);
  const file = join(folder, 'fleet.yaml');
  writeFileSync(file, ['kernels:', `  - { name: k, orig: ${pair.orig} }`, 'patches:', ...patches, ''].join('\n'));
  const matrix = (runs: string, ...more: string[]): Promise<number> =>
    timed(() => ended(start(['matrix', file, '-o', `${runs}-out`, '--run-dir', runs, '--progress', 'none', ...more])));
  const bare = await timed(async () => {
    // The same number, in one process and over one run directory, as a cell's process does them.
    for (let i = 0; i < cells; i++) await diff({ ...pair, runDir: join(folder, 'bare'), workers: 1 });
  });
  const here = await matrix(join(folder, 'here'), '--workers', '1');
  let [submitted, redisBytes] = [0, 0];
  const remote = async (workers: number): Promise<number> => {
    const name = join(folder, `redis-${workers}`);
    const server = await RedisHere.start(name);
    const place = ['--redis', server.url, '--store', `${name}-store`];
    try {
      const before = await server.usedBytes();
      submitted = await matrix(`${name}-runs`, ...place, '--detach');
      redisBytes = (await server.usedBytes()) - before;
      const running = await Promise.all(
        Array.from({ length: workers }, (_, i) => worker([...place, '--run-dir', `${name}-worker-${i}`])),
      );
      const seconds = await matrix(`${name}-runs`, ...place);
      for (const one of running) one.kill('SIGTERM');
      await Promise.all(running.map(ended));
      return seconds;
    } finally {
      await server.stop();
    }
  };
  const one = await remote(1);
  const two = await remote(2);
  return { cells, bare, here, submitted, redisBytes, one, two };
}

function table(rows: readonly Row[]): string {
  const head = ['cells', 'bare diff', 'matrix', 'submit', 'Redis', '1 worker', '2 workers', '1 : 2'];
  const lines = rows.map((found) => {
    const ms = (seconds: number): string => `${((seconds / found.cells) * 1000).toFixed(1)} ms`;
    const redis = `${Math.round(found.redisBytes / found.cells)} B`;
    const ways = [found.bare, found.here, found.submitted].map(ms);
    return [String(found.cells), ...ways, redis, ms(found.one), ms(found.two), (found.one / found.two).toFixed(2)];
  });
  const last = rows.at(-1)!;
  const over = (seconds: number, limit: number): string => {
    const found = ((seconds - last.bare) / last.cells) * 1000;
    return `${found.toFixed(1)} ms a cell (${found <= limit ? 'within' : 'OVER'} ${limit})`;
  };
  return [
    'Each figure is of one cell: the whole run, start-up included, by the number of cells.',
    '',
    ...[head, head.map(() => '---'), ...lines].map((columns) => `| ${columns.join(' | ')} |`),
    '',
    `beside the bare comparison: ${over(last.here, LIMITS_MS.here)} on one machine, ${over(last.one, LIMITS_MS.redis)} by Redis`,
    '',
  ].join('\n');
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

function start(argv: readonly string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** @throws Error where it failed */
async function ended(child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr!.on('data', (text: Buffer) => (said += text.toString()));
  const status = child.exitCode ?? (await new Promise((resolve) => child.once('close', resolve)));
  if (status !== 0) throw new Error(`it ended with ${status}: ${said.slice(-1000)}`);
}

/** A worker that is ready. */
async function worker(argv: readonly string[]): Promise<ChildProcess> {
  const child = start(['worker', '--workers', '1', ...argv]);
  await new Promise<void>((resolve, reject) => {
    createInterface(child.stderr!).on('line', (line) => void (line.includes('"ready"') && resolve()));
    child.once('exit', () => reject(new Error('the worker ended')));
  });
  return child;
}

class RedisHere {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static async start(folder: string): Promise<RedisHere> {
    mkdirSync(folder);
    const probe = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => probe.once('listening', resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const durable = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''];
    const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
    const child = spawn('redis-server', [...place, ...durable], { stdio: 'ignore' });
    return new RedisHere(child, `redis://127.0.0.1:${port}`);
  }

  async usedBytes(): Promise<number> {
    // It is waited for until it answers.
    const redis = new Redis(this.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    redis.on('error', () => undefined);
    const info = await redis.info('memory');
    redis.disconnect();
    return Number(/used_memory:(\d+)/.exec(info)?.[1]);
  }

  async stop(): Promise<void> {
    const exit = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    await exit;
  }
}

void main().then(
  (status) => (process.exitCode = status),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
