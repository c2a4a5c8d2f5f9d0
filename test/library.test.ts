/**
 * klpflow as a library, by the examples of docs/library.md: each compiles as it stands, and runs. `diff({ orig, patched })` ended in a TypeError once, for want of
 * options that had no default, and no document was there to show it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import { beforeAll, describe, expect, test } from 'vitest';
import { Feed } from '../src/library/progress';
import { exampleFolder, examplesOf } from './support/examples';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();
const root = join(__dirname, '..');
const DOCUMENT = 'docs/library.md';
const pair = { orig: join(folder, 'orig.o'), patched: join(folder, 'patched.o') };
const runDir = join(folder, 'cache/runs');
/** As it was built: records of other code are not its own. */
const { KlpflowError, diff, explain, runs, scan, status } = createRequire(__filename)(
  'klpflow',
) as typeof import('../src');

beforeAll(() => exampleFolder(folder, DOCUMENT));

describe('the examples', () => {
  test('compile as they stand', () => {
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      module: 'preserve',
      moduleResolution: 'bundler',
      target: 'ES2022',
      lib: ['ES2023'],
      skipLibCheck: true,
      noEmit: true,
      resolveJsonModule: true,
      typeRoots: [join(root, 'node_modules/@types')],
      types: ['node'],
      paths: { klpflow: [join(root, 'src/index.ts')] },
    };
    const ambient = ['src/stages/scan/webassembly.d.ts', 'src/kernel-image/unpack/packages.d.ts'];
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, include: ['*.mts', ...ambient.map((path) => join(root, path))] }),
    );
    const { stdout } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
      encoding: 'utf8',
    });
    expect(stdout).toBe('');
  });

  test.each(examplesOf(DOCUMENT).map((code, i) => [i + 1, code] as const))('%i runs', (i, code) => {
    const file = join(folder, `example-${i}.mjs`);
    writeFileSync(file, transformSync(code, { loader: 'ts', format: 'esm', target: 'node20' }).code);
    const said = execFileSync(process.execPath, [file], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, KLPFLOW_CACHE_DIR: join(folder, 'cache') },
    });
    expect(said).toMatch(EXPECTED[i - 1]!);
  });
});

/** What each says, of a pair of 18 changes. */
const EXPECTED = [
  /^patchable\n\S+ \d+ \d+ code\n/,
  /^[0-9a-f]{64} false\ntrue [1-9]\d* things were not checked\n/,
  /^\d\.\d\d s {2}identify 1\/1\n[^]*assess 2\/2\n[^]*\n\d+(\.\d+)?\n$/,
  /^unreadable cannot read fix\.patch/,
  /^(name|scope|content|suffix|alone)\n[^]*(inserted|replaced|argument|deleted) /,
];

test('all that has a default has one; what a run is told is what the command line tells', async () => {
  const result = await diff({ ...pair, runDir });
  expect(result.verdict).toBe('patchable');
  expect((await scan({ object: pair.orig, runDir })).run.stages.some(({ reused }) => reused > 0)).toBe(true);
  expect((await status({ inputs: [pair.orig], runDir })).inputs[0]!.records.length).toBeGreaterThan(0);
  expect((await runs({ runDir })).objects.length).toBeGreaterThan(1);
});

test('what is wrong with options is a failed promise with a code, not a throw', async () => {
  const failed = async (run: Promise<unknown>): Promise<string> =>
    run.then(
      () => 'no error',
      (error: unknown) => (error instanceof KlpflowError ? error.code : String(error)),
    );
  expect(await failed(diff({ ...pair, runDir, allow: ['no-such-code'] }))).toBe('usage');
  expect(await failed(diff({ ...pair, runDir, output: 'a.zip' }))).toBe('usage');
  expect(await failed(diff({ ...pair, runDir, twins: ['a'] }))).toBe('usage');
  expect(await failed(diff({ ...pair, runDir: '' }))).toBe('usage');
  expect(await failed(explain({ ...pair, runDir, symbol: 'no_such_symbol' }))).toBe('symbol-not-found');
  const stop = new AbortController();
  stop.abort();
  expect(await failed(diff({ ...pair, runDir, fresh: true, signal: stop.signal }))).toBe('interrupted');
});

describe('progress', () => {
  test('for await sees each event once, in order, and ends with the run; also where the run fails', async () => {
    const run = diff({ ...pair, runDir, fresh: true });
    const told: string[] = [];
    run.progress.subscribe((event) => void told.push(JSON.stringify(event)));
    const seen: string[] = [];
    for await (const event of run.progress) seen.push(JSON.stringify(event));
    expect((await run).verdict).toBe('patchable');
    expect(seen.length).toBeGreaterThan(5);
    expect(seen).toEqual(told);
    const failing = diff({ ...pair, orig: join(folder, 'missing.o'), runDir });
    failing.catch(() => undefined);
    for await (const _ of failing.progress);
    await expect(failing).rejects.toThrow(KlpflowError);
  });

  test('an observer may stop, come late, and use its own this', () => {
    const feed = new Feed<number>();
    const seen: number[] = [];
    const observer = {
      seen,
      done: false,
      next(value: number): void {
        this.seen.push(value);
        if (value === 2) subscription.unsubscribe();
      },
      complete(): void {
        this.done = true;
      },
    };
    const subscription = feed.subscribe(observer);
    for (const value of [1, 2, 3]) feed.tell(value);
    expect(seen).toEqual([1, 2]);
    feed.end();
    expect(observer.done).toBe(false);
    feed.subscribe(observer);
    expect(observer.done).toBe(true);
  });
});

test('the built library has no export that its source lacks, and an ES module can name each', () => {
  const names = execFileSync(
    process.execPath,
    ['--input-type=module', '-e', "import * as k from 'klpflow'; console.log(Object.keys(k).join())"],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  const exported = readFileSync(join(root, 'src/index.ts'), 'utf8');
  for (const name of ['build', 'diff', 'explain', 'verify', 'KlpflowError'])
    expect(names.trim().split(',')).toContain(name);
  for (const name of names
    .trim()
    .split(',')
    .filter((one) => one !== 'default' && one !== 'module.exports'))
    expect(exported).toMatch(new RegExp(`\\b${name}\\b`));
});
