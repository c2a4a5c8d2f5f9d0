/** The built command line as a person meets it before any command does its work. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import pjson from '../package.json';

const root = join(__dirname, '..');

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
  ['an argument too many', ['doctor', 'now'], 'doctor takes no argument: now'],
  ['an unknown flag', ['doctor', '--frobnicate'], 'Nonexistent flag: --frobnicate'],
  ['a flag that takes no value', ['doctor', '--json=yes'], ''],
])('%s is an error of usage: exit code 1', (_, argv, message) => {
  const { status, stdout, stderr } = klpflow(argv);
  expect(status).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toContain(message);
});

test('doctor --json prints one object and nothing else', () => {
  const { status, stdout, stderr } = klpflow(['doctor', '--json']);
  const result = JSON.parse(stdout) as { schema: string; ok: boolean; checks: { name: string; ok: boolean }[] };
  expect({ status, stderr, schema: result.schema, ok: result.ok }).toEqual({ status: 0, stderr: '', schema: 'klpflow/doctor@1', ok: true });
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
    for (const file of ['package.json', 'oclif.manifest.json', 'dist/main.js', 'dist/cli.js']) cpSync(join(root, file), join(copy, file));
    const without = klpflow(['doctor'], { from: copy });
    expect(without.status).toBe(1);
    expect(without.stdout).toMatch(/^FAIL {2}mmap +Cannot find module 'mmap-io\/package.json'$/m);
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    expect(klpflow(['doctor'], { from: copy })).toMatchObject({ status: 0, stderr: '' });
  } finally {
    rmSync(copy, { recursive: true });
  }
});
