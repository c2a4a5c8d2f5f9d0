/**
 * How much memory a run takes is said beforehand, and kept to. What this guards against: a run of minutes that the kernel ends for want of
 * memory, and a formula that nobody measured.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { measure, type Measurement } from '../../bench/measure';
import { STT_OBJECT } from '../../src/elf/constants';
import type { KlpflowError, Diagnostic } from '../../src/diagnostics';
import { memoryLeft, neededForPairs, neededMemory, threadsWithin } from '../../src/pipeline/memory';
import { readAhead } from '../../src/pipeline/scan';
import type { DiffResult } from '../../src';
import { grade, type Manifest } from '../../src/synth';
import { object } from '../support/elf-builder';
import { EXIT_CODES, MAIN, running } from '../support/run-klpflow';
import { smallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const PAIR = join(folder, 'pair');
const [orig, patched] = [join(PAIR, 'orig.o'), join(PAIR, 'patched.o')];
let manifest: Manifest;

beforeAll(async () => {
  // Large enough for columns to be a good part of it: 73 MB each, 500,000 symbols both.
  const made = await measure([process.execPath, MAIN, 'synth', '-o', PAIR, '--functions', '40000']);
  expect(made.stderr).toBe('');
  manifest = JSON.parse(readFileSync(join(PAIR, 'manifest.json'), 'utf8')) as Manifest;
});

let runs = 0;
const diff = (...flags: string[]): Promise<Measurement> =>
  measure([
    process.execPath,
    MAIN,
    'diff',
    orig,
    patched,
    '--run-dir',
    join(folder, `run-${runs++}`),
    '--json',
    '--progress',
    'none',
    ...flags,
  ]);
const resultOf = ({ stdout }: Measurement): DiffResult => JSON.parse(stdout) as DiffResult;
const errorOf = ({ stdout }: Measurement): Diagnostic => (JSON.parse(stdout) as DiffResult).diagnostics[0]!;

/** As the formula says it, but for a few relocations of sections that are not loaded. */
const needed = (threads: number): number => neededMemory([manifest.orig, manifest.patched], threads);
const flag = (bytes: number): string => `${Math.ceil(bytes / 1e6)}M`;

describe('the memory that a run takes', () => {
  test.each([1, 2, 4])('is what the formula says, with %i threads', async (threads) => {
    const columns = needed(threads) - neededMemory([], threads);
    expect(columns).toBeGreaterThan(60e6);
    const run = await diff('--workers', String(threads));
    expect(grade(manifest, resultOf(run))).toEqual([]);
    expect(resultOf(run).run.workers).toBe(threads);
    expect(Math.abs(resultOf(run).run.neededBytes - needed(threads))).toBeLessThan(1e6);
    expect(run.peakAnonBytes).toBeLessThan(needed(threads));
    expect(run.peakAnonBytes).toBeGreaterThan(columns + 40e6);
  });

  test('is kept within --memory by fewer threads, with the same answer', async () => {
    const run = await diff('--workers', '4', '--memory', flag(needed(1) + 1e6));
    expect(grade(manifest, resultOf(run))).toEqual([]);
    expect(resultOf(run).run.workers).toBe(1);
    expect(run.peakAnonBytes).toBeLessThan(needed(1) + 1e6);
    const three = await diff('--workers', '4', '--memory', flag(needed(3) + 1e6));
    expect(resultOf(three).run.workers).toBe(3);
    expect({ ...resultOf(three), run: null }).toEqual({ ...resultOf(run), run: null });
  });

  test('is refused before it is taken where --memory is too small, and what is said to be needed is enough', async () => {
    const run = await diff('--memory', '100M');
    expect(run.exitCode).toBe(1);
    expect(run.peakAnonBytes).toBeLessThan(100e6);
    const { code, message } = errorOf(run);
    expect(code).toBe('memory-too-small');
    const [, enough] = /^--memory 100M: the objects need (\d+M) with one thread$/.exec(message) ?? [];
    expect(enough).toBe(flag(needed(1)));
    expect(resultOf(await diff('--memory', enough!)).verdict).toBe('patchable');
  });

  test('is that of the largest pair on each thread where folders are compared', async () => {
    const trees = ['a', 'b'].map((name) => join(folder, name)) as [string, string];
    await smallPair(trees[0]);
    await smallPair(trees[1], 300, { immediates: 2 });
    const run = await measure([
      process.execPath,
      MAIN,
      'diff',
      ...trees,
      '--run-dir',
      join(folder, 'tree-run'),
      '--json',
      '--progress',
      'none',
      '--memory',
      '60M',
    ]);
    expect(run.exitCode).toBe(1);
    expect(errorOf(run).code).toBe('memory-too-small');
    const load = { symbols: 1e6, sections: 1e5, relas: 1e6 };
    expect(neededForPairs([load, load], 3) - neededForPairs([load, load], 2)).toBe(
      neededMemory([load, load], 1) - neededMemory([], 0),
    );
  });

  test('is refused where the machine has less', () => {
    const objects = [
      { symbols: 12_700_000, sections: 8_400_000, relas: 57_000_000 },
      { symbols: 12_700_000, sections: 8_400_000, relas: 57_000_000 },
    ];
    const asked = (left: number, asked?: number) => (): number =>
      threadsWithin((threads) => neededMemory(objects, threads), 2, asked, left);
    expect(asked(4e9)()).toBe(2);
    expect(asked(2e9)).toThrow(
      expect.objectContaining<Partial<KlpflowError>>({
        code: 'memory-too-small',
        message: expect.stringMatching(
          /^the objects need 3\d\d\dM with 2 threads, and 2000M of memory are left$/,
        ) as string,
      }),
    );
    expect(asked(neededMemory(objects, 1) + 1)).toThrow(/--memory 3\d\d\dM makes it work with one thread/);
    // What was asked for does not help where it is not there.
    expect(asked(2e9, 8e9)).toThrow(/2000M of memory are left/);
  });

  test('is not taken for a table that is read before it is known to be there', () => {
    const asked: string[] = [];
    const flow = {
      pool: { workers: 2, run: (name: string) => (asked.push(name), Promise.reject(new Error('no thread'))) },
    } as unknown as Parameters<typeof readAhead>[0];
    // 10 million symbols fit into 240 MB of file, and their columns take 850 MB.
    const input = {
      path: 'a.o',
      copy: null,
      identity: { device: '', inode: '', size: 240e6, mtimeNs: '', ctimeNs: '' },
    };
    expect(neededMemory([{ symbols: 10e6, sections: 5, relas: 0 }], 0)).toBeGreaterThan(850e6);
    expect(readAhead(flow, input, 900e6)).toBeUndefined();
    expect(asked).toEqual([]);
    expect(readAhead(flow, input, 1e9)).toBeInstanceOf(Promise);
    expect(asked).toEqual(['readTable']);
  });

  test('that is left is known, and no more than the machine has', () => {
    const total = Number(/^MemTotal:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))![1]) * 1024;
    expect(memoryLeft()).toBeGreaterThan(50e6);
    expect(memoryLeft()).toBeLessThanOrEqual(total);
  });
});

describe('the heap of V8', () => {
  /** So many variables, all with other values where the salt is another. */
  const build = (count: number, salt: number, name: (i: number) => string): Promise<string> => {
    const builder = object()
      .file('x.c')
      .section('.data.all', { body: Buffer.from(Uint32Array.from({ length: count }, (_, i) => i * 2 + salt).buffer) });
    for (let i = 0; i < count; i++)
      builder.symbol(name(i), { section: '.data.all', at: i * 4, size: 4, type: STT_OBJECT });
    // Never the same file, which would need no look.
    if (runs % 2 === 1) builder.bss('more', 8);
    return builder.write(join(folder, `heap-${runs++}.o`));
  };
  const withLittle = async (
    count: number,
    name: (i: number) => string,
    salt = 1,
  ): Promise<{ status: number | null; said: string }> => {
    const files = [await build(count, 0, name), await build(count, salt, name)];
    const ran = await running(
      ['diff', ...files, '--run-dir', join(folder, `run-${runs++}`), '--json', '--progress', 'none'],
      { env: { NODE_OPTIONS: '--max-old-space-size=64' } },
    );
    return { status: ran.status, said: ran.stdout };
  };

  test('does not end the process where a hundred thousand symbols have one name', async () => {
    // Each is an entry of a map, twice: a million took 2.9 GB, and where V8 has less it aborts without a word that tells anything.
    const { status, said } = await withLittle(100_000, () => 'same');
    expect(status).toBe(1);
    expect(JSON.parse(said)).toMatchObject({
      diagnostics: [
        {
          code: 'memory-too-small',
          message: expect.stringMatching(
            /^200000 symbols share their names with others, 200000 of them one name: .*max-old-space-size/,
          ) as string,
        },
      ],
    });
    // As many with names of their own need no such map; a thousand of one name fit.
    expect((await withLittle(100_000, (i) => `own_${i}`, 0)).status).toBe(EXIT_CODES.unchanged);
    expect((await withLittle(1_000, () => 'same')).status).toBe(EXIT_CODES.unchanged);
  });
});

test.each([50e6, 12e6])('an address space of %d KB: said as such, not as a bug of klpflow', async (kilobytes) => {
  // Each memory of WebAssembly reserves gigabytes of addresses, whatever it holds: `ulimit -v` and some containers refuse that.
  const ran = await running(
    ['diff', orig, patched, '--run-dir', join(folder, `run-${runs++}`), '--json', '--progress', 'none'],
    { under: ['bash', '-c', `ulimit -v ${kilobytes} && exec "$@"`, 'bash'] },
  );
  expect(ran.status).toBe(1);
  expect((JSON.parse(ran.stdout) as DiffResult).diagnostics).toMatchObject([
    { code: 'memory-too-small', message: expect.stringContaining('the system gives no more memory') },
  ]);
});
