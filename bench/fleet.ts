/**
 * `npm run bench:fleet`: what a cell of a matrix costs beside the bare comparison, on one machine and by Redis and workers; how time and Redis' memory grow with the cells. The
 * objects are tiny and all the same, so that what is measured is the way, not the work.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
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
  --same          PATCHED is ORIG: less work a cell, where there are very many

Needs redis-server.
`;
const MAIN = join(__dirname, 'main.js');
/** Most that a cell may cost beside the comparison: on one machine, and by Redis. */
const LIMITS_MS = { here: 10, redis: 60 } as const;
/** As many bare comparisons as show what one takes. */
const BARE = 1000;
const TWO = 1000;
const REDIS = ['Redis: all wait', 'all done', 'peak'];

/** Seconds, and processor time of all processes: the second says the same on a busy machine. */
interface Took {
  wall: number;
  cpu: number;
}

interface Row {
  cells: number;
  bare: Took;
  here: Took;
  submitted: number;
  /** What Redis holds more than before: when all jobs wait, and when all are done; and the most that it ever held. */
  redis: { waiting: number; done: number; peak: number };
  one: Took;
  /** Null where there are more cells than show that two do it sooner. */
  two: Took | null;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      cells: { type: 'string', default: '250,1000' },
      functions: { type: 'string', default: '30' },
      same: { type: 'boolean', default: false },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const counts = values.cells.split(',').map(Number);
  return inScratch(async (scratch) => {
    const [orig, changed] = [join(scratch, 'orig.o'), join(scratch, 'patched.o')];
    await writePair({ functions: Number(values.functions), seed: 1, changes: { immediates: 2 } }, orig, changed);
    const patched = values.same ? orig : changed;
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
  const matrix = (runs: string, ...more: string[]): Promise<Took> =>
    timed(() => ended(start(['matrix', file, '-o', `${runs}-out`, '--run-dir', runs, '--progress', 'none', ...more])));
  const measured = Math.min(cells, BARE);
  const some = await timed(async () => {
    // In one process and over one run directory, as a cell's process does them.
    for (let i = 0; i < measured; i++) await diff({ ...pair, runDir: join(folder, 'bare'), workers: 1 });
  });
  const bare = { wall: (some.wall / measured) * cells, cpu: (some.cpu / measured) * cells };
  let submitted = 0;
  const redis = { waiting: 0, done: 0, peak: 0 };
  const remote = async (workers: number): Promise<Took> => {
    const name = join(folder, `redis-${workers}`);
    let wall = 0;
    const all = await timed(async () => {
      const server = await RedisHere.start(name);
      const running: ChildProcess[] = [];
      const place = ['--redis', server.url, '--store', `${name}-store`];
      try {
        const before = await server.memory();
        submitted = (await matrix(`${name}-runs`, ...place, '--detach')).wall;
        redis.waiting = (await server.memory()).used - before.used;
        for (let i = 0; i < workers; i++) running.push(await worker([...place, '--run-dir', `${name}-worker-${i}`]));
        ({ wall } = await matrix(`${name}-runs`, ...place));
        for (const one of running) one.kill('SIGTERM');
        await Promise.all(running.map(ended));
        const after = await server.memory();
        redis.done = after.used - before.used;
        redis.peak = after.peak - before.used;
      } finally {
        // One that is left would wait for this Redis for ever.
        for (const one of running) one.kill('SIGKILL');
        await server.stop();
      }
    });
    return { wall, cpu: all.cpu };
  };
  const two = cells <= TWO ? await remote(2) : null;
  const one = await remote(1);
  // What follows may take as long again.
  process.stderr.write(`${JSON.stringify({ cells, bare, submitted, redis, one, two })}\n`);
  const here = await matrix(join(folder, 'here'), '--workers', '1');
  return { cells, bare, here, submitted, redis, one, two };
}

function table(rows: readonly Row[]): string {
  const head = ['cells', 'bare', 'CPU', 'matrix', 'CPU', 'submit', 'Redis, 1 worker', 'CPU', '2 workers', ...REDIS];
  const lines = rows.map(({ cells, bare, here, submitted, redis, one, two }) => {
    const ms = (seconds: number): string => `${((seconds / cells) * 1000).toFixed(1)} ms`;
    const both = ({ wall, cpu }: Took): string[] => [ms(wall), ms(cpu)];
    const memory = [redis.waiting, redis.done, redis.peak].map((bytes) => `${Math.round(bytes / cells)} B`);
    return [
      String(cells),
      ...both(bare),
      ...both(here),
      ms(submitted),
      ...both(one),
      two ? ms(two.wall) : '-',
      ...memory,
    ];
  });
  const [first, last] = [rows[0]!, rows.at(-1)!];
  /** What a cell of the largest row costs by one of the smallest: 1 where it is linear. */
  const growth = (of: (found: Row) => number): string => (of(last) / last.cells / (of(first) / first.cells)).toFixed(2);
  const over = ({ wall }: Took, limit: number): string => {
    const found = ((wall - last.bare.wall) / last.cells) * 1000;
    return `${found.toFixed(1)} ms a cell (${found <= limit ? 'within' : 'OVER'} ${limit})`;
  };
  return [
    'Each figure is of one cell: the whole run, start-up included, by the number of cells. CPU is of all processes.',
    '',
    ...[head, head.map(() => '---'), ...lines].map((columns) => `| ${columns.join(' | ')} |`),
    '',
    `a cell of ${last.cells} by one of ${first.cells}: one machine ${growth(({ here }) => here.wall)} (CPU ${growth(({ here }) => here.cpu)}), by Redis ${growth(({ one }) => one.wall)} (CPU ${growth(({ one }) => one.cpu)}), Redis' memory ${growth(({ redis }) => redis.peak)}`,
    `beside the bare comparison: ${over(last.here, LIMITS_MS.here)} on one machine, ${over(last.one, LIMITS_MS.redis)} by Redis`,
    '',
  ].join('\n');
}

async function timed(work: () => Promise<unknown>): Promise<Took> {
  const [started, before] = [performance.now(), cpuSeconds()];
  await work();
  return { wall: (performance.now() - started) / 1000, cpu: cpuSeconds() - before };
}

/** Of this process and of those that it has waited for, with theirs: utime, stime, cutime and cstime of proc(5), a hundredth of a second each. */
function cpuSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

function start(argv: readonly string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** @throws Error where it failed */
async function ended(child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr!.on('data', (text: Buffer) => (said += text.toString()));
  const status = child.exitCode ?? (await new Promise((resolve) => child.once('close', resolve)));
  // 3: nothing changed, which is so with --same.
  if (status !== 0 && status !== 3) throw new Error(`it ended with ${status}: ${said.slice(-1000)}`);
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

  async memory(): Promise<{ used: number; peak: number }> {
    // It is waited for until it answers.
    const redis = new Redis(this.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    redis.on('error', () => undefined);
    const info = await redis.info('memory');
    redis.disconnect();
    const bytes = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]);
    return { used: bytes('used_memory'), peak: bytes('used_memory_peak') };
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
