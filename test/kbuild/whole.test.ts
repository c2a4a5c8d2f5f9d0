/**
 * Scope `whole` on a tree that builds as a kernel's does: make is asked for vmlinux.o and modules and for nothing else, both builds differ by the patch alone, and
 * a second patch compiles what it touches. Whether a real kernel's livepatch works shows test/e2e.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { BuildResult } from '../../src/index';
import { errorOf, running, type Ran } from '../support/run-klpflow';
import { CONFIG, RELEASE, patchOf, smallKernel, stateOf, type SmallKernel } from '../support/small-kernel';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let kernel: SmallKernel;
let fix = '';

beforeAll(() => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const name of ['bc', 'bison', 'flex']) writeFileSync(join(bin, name), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`);
  kernel = smallKernel(folder);
  fix = patch('fix', 'fs/answer.c', 'n * 3', 'n * 4');
});

function patch(name: string, file: string, from: string, to: string): string {
  const path = join(folder, `${name}.patch`);
  writeFileSync(path, patchOf(kernel.source, file, from, to));
  return path;
}

/** Compiled by another GCC than the small image says. */
const built = (
  source: readonly string[],
  patches: readonly string[],
  runs: string,
  more: string[] = [],
): Promise<Ran> =>
  running([
    'build',
    ...patches,
    ...source,
    '--root',
    kernel.root,
    '--run-dir',
    join(folder, runs),
    '-o',
    join(folder, 'out.ko'),
    '--allow',
    'build-compiler',
    '--json',
    ...more,
  ]);

const whole = (patches: readonly string[], runs: string, more: string[] = ['--scope', 'whole']): Promise<Ran> =>
  built(['--source', kernel.source], patches, runs, more);

function resultOf({ stdout, stderr }: Ran): BuildResult {
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout) as BuildResult;
}

const treeOf = (runs: string): string =>
  join(folder, runs, 'builds', readdirSync(join(folder, runs, 'builds'))[0]!, 'tree');

/** Everything that was made in the tree since it was last asked. */
function made(runs: string): string[] {
  const path = join(treeOf(runs), 'compiled');
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  writeFileSync(path, '');
  return lines;
}

test('vmlinux.o is built with and without the patch, at one path, and nothing beyond it', async () => {
  const before = stateOf(kernel.source);
  const result = resultOf(await whole([fix], 'whole'));
  expect(result.scope).toEqual({ name: 'whole', why: '--scope whole' });
  expect(result.pairs).toEqual([
    { owner: 'vmlinux', orig: expect.stringMatching(/vmlinux\.o$/), patched: expect.stringMatching(/vmlinux\.o$/) },
  ]);
  expect(result.units).toEqual([{ source: 'fs/answer.c', owner: 'vmlinux', changed: true }]);
  // The whole of it was compared, a section a function.
  const { orig } = result.pairs[0]!;
  expect(execFileSync('nm', [orig], { encoding: 'utf8' })).toMatch(/ compat_format$/m);
  expect(execFileSync('readelf', ['-SW', orig], { encoding: 'utf8' })).toContain('.text.second');
  expect(result.diff!.objects[0]!.functions.changed.map(({ name }) => name).sort()).toEqual(['first', 'second']);
  const all = made('whole');
  expect([...all.slice(0, 3)].sort()).toEqual(['fs/answer.o', 'fs/compat.o', 'fs/format.o']);
  expect(all.slice(3)).toEqual(['vmlinux.o', 'fs/answer.o', 'vmlinux.o']);
  expect(stateOf(kernel.source)).toBe(before);
});

test('a second patch compiles what it touches, and not what the first one did', async () => {
  await whole([fix], 'second');
  made('second');
  const other = patch('other', 'fs/compat.c', 'compat_format', 'compat_form');
  const result = resultOf(await whole([other], 'second'));
  expect(made('second')).toEqual(['fs/compat.o', 'vmlinux.o']);
  // That of the first is in neither of both.
  expect(result.diff!.objects[0]!.functions.changed.map(({ name }) => name)).not.toContain('first');
  // The same patch again compiles nothing.
  resultOf(await whole([other], 'second'));
  expect(made('second')).toEqual(['']);
});

test('two builds without a patch are the same, on another day and by another user, too', async () => {
  const comment = patch('comment', 'fs/answer.c', 'The first.', 'This is the first.');
  const ran = await whole([comment], 'twice');
  expect(resultOf(ran)).toMatchObject({ verdict: 'unchanged', pairs: [], output: null });
  expect(ran.status).toBe(3);
  // Not because nothing was built.
  expect(made('twice').filter((name) => name === 'fs/answer.o')).toHaveLength(2);
  const orig = (runs: string): Buffer => readFileSync(join(treeOf(runs), '../whole/orig/vmlinux.o'));
  vi.stubEnv('KBUILD_BUILD_USER', 'somebody');
  await whole([comment], 'again');
  vi.stubEnv('KBUILD_BUILD_USER', undefined);
  expect(orig('again').equals(orig('twice'))).toBe(true);
  expect(orig('twice').includes('@')).toBe(true);
});

test('of a patched module its object alone is built', async () => {
  const module = patch('module', 'fs/driver.c', 'return 1', 'return 2');
  const result = resultOf(await whole([module], 'module'));
  expect(result.units).toEqual([{ source: 'fs/driver.c', owner: 'driver', changed: true }]);
  expect(made('module')).toEqual(['fs/driver.o', 'fs/driver.o']);
});

test('a kernel with LTO is built whole, and why is said; single units of it are refused', async () => {
  const config = join(folder, 'lto.config');
  writeFileSync(config, `${CONFIG}CONFIG_LTO_CLANG=y\n`);
  const result = resultOf(await whole([fix], 'lto', ['--config', config]));
  expect(result.scope).toEqual({ name: 'whole', why: expect.stringContaining('CONFIG_LTO_CLANG') });
  expect(result.pairs).toHaveLength(1);
  const refused = resultOf(await whole([fix], 'lto', ['--config', config, '--scope', 'units']));
  expect(refused.diagnostics).toContainEqual(expect.objectContaining({ code: 'build-config' }));
});

describe('a built tree', () => {
  /** Built as its owner builds it: by the compiler's name in the Makefile, with the image and configuration in it. */
  function tree(name: string, flags: string): string {
    const other = smallKernel(join(folder, name)).source;
    mkdirSync(join(other, 'arch/x86/boot'), { recursive: true });
    writeFileSync(join(other, 'arch/x86/boot/bzImage'), readFileSync(join(kernel.root, `boot/vmlinuz-${RELEASE}`)));
    writeFileSync(join(other, '.config'), CONFIG);
    execFileSync('make', ['-s', `KCFLAGS=${flags}`, 'prepare', 'vmlinux_o', 'fs/driver.o'], { cwd: other });
    return other;
  }

  test('is taken over: only the patch is compiled, and the tree stays as it is', async () => {
    const objects = tree('built', '-ffunction-sections -fdata-sections');
    const before = stateOf(objects);
    const result = resultOf(await built(['--objects', objects], [fix], 'adopted'));
    expect(result.scope).toEqual({ name: 'whole', why: expect.stringContaining(objects) });
    expect(result.kernel).toMatchObject({ release: RELEASE, image: join(objects, 'arch/x86/boot/bzImage') });
    expect(result.diff!.objects[0]!.functions.changed.map(({ name }) => name).sort()).toEqual(['first', 'second']);
    // What its owner compiled, and then: linked, the patch, linked.
    expect(made('adopted').slice(5)).toEqual(['vmlinux.o', 'fs/answer.o', 'vmlinux.o']);
    expect(stateOf(objects)).toBe(before);
  });

  test('is refused where it has no section a function, or is one of two trees', async () => {
    const objects = tree('plain', '-g0');
    const result = resultOf(await built(['--objects', objects], [fix], 'plain-runs'));
    expect(result.diagnostics).toContainEqual(expect.objectContaining({ code: 'objects-unfit' }));
    expect(result.pairs).toEqual([]);
    const both = ['--objects', objects, '--source', kernel.source];
    expect(errorOf(await built(both, [fix], 'plain-runs'))).toMatchObject({ code: 'usage' });
    expect(errorOf(await built([], [fix], 'plain-runs'))).toMatchObject({ code: 'usage' });
  });
});

test('killed while the patch is in, at five moments: neither build has anything of another patch', {
  timeout: 120_000,
}, async () => {
  const other = patch('later', 'fs/format.c', 'n + 7', 'n + 9');
  const expected = resultOf(await whole([other], 'undisturbed'));
  for (let i = 0; i < 5; i++)
    await running(
      ['build', fix, '--source', kernel.source, '--root', kernel.root, '--run-dir', join(folder, 'killed')].concat([
        '--scope',
        'whole',
        '--allow',
        'build-compiler',
        '--progress',
        'json',
        '-o',
        join(folder, 'killed.ko'),
      ]),
      {
        onLine: (line, child) =>
          void (line.includes('with the patch') && setTimeout(() => child.kill('SIGKILL'), i * 40)),
      },
    );
  const after = resultOf(await whole([other], 'killed'));
  const bytes = ({ pairs }: BuildResult): Buffer[] =>
    pairs.flatMap(({ orig, patched }) => [orig, patched].map((path) => readFileSync(path)));
  expect(bytes(after)).toEqual(bytes(expected));
  expect(existsSync(join(treeOf('killed'), '../making'))).toBe(false);
});
