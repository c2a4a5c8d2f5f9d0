/** The built command line as a person meets it before any command does its work. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import pjson from '../../package.json';
import type { DiffResult } from '../../src';
import { smallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const root = join(__dirname, '../..');

function klpflow(argv: string[], { from = root, env = {} }: { from?: string; env?: Record<string, string> } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(from, 'dist/main.js'), ...argv], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, stdout, stderr };
}

test('--version says name, version and platform', () => {
  expect(klpflow(['--version'])).toEqual({
    status: 0,
    stdout: `klpflow/${pjson.version} ${process.platform}-${process.arch} node-${process.version}\n`,
    stderr: '',
  });
});

test.each([
  ['an unknown command', ['frobnicate'], 'command frobnicate not found'],
  ['a command misspelt', ['docter'], 'Try this: klpflow doctor'],
  ['an argument too many', ['runs', 'now'], 'runs takes no argument: now'],
  ['an unknown flag', ['doctor', '--frobnicate'], 'Nonexistent flag: --frobnicate'],
  ['a flag that takes no value', ['runs', '--json=yes'], ''],
])('%s is an error of usage: exit code 1', (_, argv, message) => {
  const { status, stdout, stderr } = klpflow(argv);
  expect(status).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toContain(message);
});

test('doctor --json prints one object and nothing else', () => {
  const { status, stdout, stderr } = klpflow(['doctor', '--json']);
  const result = JSON.parse(stdout) as { schema: string; ok: boolean; checks: { name: string; ok: boolean }[] };
  expect({ status, stderr, schema: result.schema, ok: result.ok }).toEqual({
    status: 0,
    stderr: '',
    schema: 'klpflow/doctor@1',
    ok: true,
  });
  expect(result.checks.map(({ name }) => name)).toEqual(['node', 'mmap', 'cores', 'memory', 'cache']);
});

test('doctor names a cache directory that cannot be made', () => {
  const { status, stdout } = klpflow(['doctor'], { env: { KLPFLOW_CACHE_DIR: '/dev/null/klpflow' } });
  expect(status).toBe(1);
  expect(stdout).toMatch(/^FAIL {2}cache +\/dev\/null\/klpflow cannot be written$/m);
});

test('an installation without its code cache or its addon still answers', () => {
  const copy = mkdtempSync(join(tmpdir(), 'klpflow-launcher-'));
  try {
    mkdirSync(join(copy, 'dist'));
    for (const file of ['package.json', 'oclif.manifest.json', 'dist/main.js', 'dist/cli.js'])
      cpSync(join(root, file), join(copy, file));
    const without = klpflow(['doctor'], { from: copy });
    expect(without.status).toBe(1);
    expect(without.stdout).toMatch(
      /^FAIL {2}mmap +the mmap addon does not load in .*: Cannot find module 'mmap-io\/package.json'$/m,
    );
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    expect(klpflow(['doctor'], { from: copy })).toMatchObject({ status: 0, stderr: '' });
  } finally {
    rmSync(copy, { recursive: true });
  }
});

describe('threads that start while the command line is read', () => {
  const folder = tempFolder();
  let pair: [string, string];
  beforeAll(async () => {
    const { orig, patched } = await smallPair(join(folder, 'pair'));
    pair = [orig, patched];
  });

  /** Runs a command line as on a machine with so many cores, and counts the threads that it starts. */
  const onCores = (cores: number, argv: string[]) => {
    const [preload, count] = [join(folder, 'preload.cjs'), join(folder, 'threads')];
    writeFileSync(
      preload,
      `const threads = require('node:worker_threads');
      if (threads.isMainThread) {
        let started = 0;
        require('node:os').availableParallelism = () => ${cores};
        threads.Worker = class extends threads.Worker { constructor(...given) { super(...given); started++; } };
        process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(count)}, String(started)));
      }`,
    );
    const ran = klpflow([...argv, '--run-dir', join(folder, 'run'), '--progress', 'none'], {
      env: { NODE_OPTIONS: `--require ${preload}` },
    });
    return { ...ran, threads: Number(readFileSync(count, 'utf8')) };
  };

  test('say nothing, however many they are', () => {
    // Each pipes its output into the process's, and Node took the command's own listener for a leak from ten threads on.
    const { status, stdout, stderr, threads } = onCores(12, ['diff', ...pair, '--fresh', '--json']);
    expect({ status, stderr, threads }).toEqual({ status: 0, stderr: '', threads: 12 });
    expect((JSON.parse(stdout) as DiffResult).run.workers).toBe(12);
    expect(onCores(2, ['diff', ...pair, '--fresh', '--workers', '12'])).toMatchObject({
      status: 0,
      stderr: '',
      threads: 12,
    });
  });

  /** Runs a program of Node's, and says of each script that it or its threads loaded through a code cache: what was rejected, and how many of Node's own modules came with and without one. */
  const loadedBy = (...program: string[]) => {
    const [preload, log] = [join(folder, 'cached.cjs'), join(folder, 'cached')];
    writeFileSync(log, '');
    writeFileSync(
      preload,
      `const vm = require('node:vm');
      const { internalBinding } = require('internal/test/binding');
      vm.Script = class extends vm.Script {
        constructor(source, options) {
          super(source, options);
          const { compiledWithCache, compiledWithoutCache } = internalBinding('builtins').getCacheUsage();
          const seen = { name: require('node:path').basename(options.filename), rejected: this.cachedDataRejected, cached: compiledWithCache.size, without: compiledWithoutCache.size };
          require('node:fs').appendFileSync(${JSON.stringify(log)}, JSON.stringify(seen) + '\\n');
        }
      };`,
    );
    expect(
      spawnSync(process.execPath, ['--expose-internals', '--require', preload, ...program], { cwd: root }).status,
    ).toBe(0);
    const scripts = readFileSync(log, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { name: string; rejected: boolean; cached: number; without: number });
    // The premise: Node has caches, and this counts them.
    expect(Math.max(...scripts.map(({ cached }) => cached))).toBeGreaterThan(50);
    return scripts;
  };

  test("each takes the code caches that there are: ours, and Node's for its own modules", () => {
    // V8 takes one only under the flags that it was made with: those that make it compile less were set first, and nobody saw that every
    // thread compiled Node's own modules anew.
    const scripts = loadedBy(
      'dist/main.js',
      'diff',
      ...pair,
      '--fresh',
      '--workers',
      '3',
      '--run-dir',
      join(folder, 'run'),
      '--progress',
      'none',
    );
    expect(scripts.map(({ name }) => name).sort()).toEqual([
      'cli.js',
      ...Array<string>(scripts.length - 1).fill('stage.js'),
    ]);
    // A pair as small as this may be done before the last has started.
    expect(scripts.length).toBeGreaterThan(1);
    for (const { rejected, without } of scripts) expect({ rejected, without }).toEqual({ rejected: false, without: 0 });
  });

  test('those of a second run in one process do so, too', () => {
    // The flags are the process's; after the first run they were still set.
    const run = JSON.stringify({
      orig: pair[0],
      patched: pair[1],
      runDir: join(folder, 'run'),
      workers: 2,
      fresh: true,
    });
    const scripts = loadedBy(
      '-e',
      `(async () => { for (let i = 0; i < 4; i++) await require('./dist/index.js').diff(${run}); })();`,
    );
    expect(scripts.length).toBeGreaterThan(4);
    expect(scripts.filter(({ rejected }) => rejected)).toEqual([]);
  });

  test('leave a core to the thread that reads it, and are no more than cores: an error of usage has to wait for them', () => {
    expect(onCores(2, ['diff', ...pair, '--workers', '2', '--frobnicate'])).toMatchObject({ status: 1, threads: 1 });
    expect(onCores(4, ['diff', ...pair, '--workers', '4', '--frobnicate'])).toMatchObject({ status: 1, threads: 3 });
    expect(onCores(2, ['diff', ...pair, '--workers', '64', '--frobnicate'])).toMatchObject({ status: 1, threads: 0 });
  });
});
