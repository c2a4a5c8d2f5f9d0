/**
 * `klpflow build` on a tree that builds as a kernel's does: what it says before it compiles, what it keeps, and that the user's tree is never touched, however
 * a run ends. The livepatch itself is refused here: the small image is not made of these sources. test/e2e has the real thing.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { BuildResult } from '../../src/index';
import { errorOf, running, type Ran } from '../support/run-klpflow';
import { RELEASE, patchOf, smallKernel, stateOf, type SmallKernel } from '../support/small-kernel';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let kernel: SmallKernel;
let fix = '';

/** Compiled by another GCC than the small image says. */
const ANY = ['--allow', 'build-compiler'];

beforeAll(() => {
  // A kernel's build needs these, and klpflow looks for them; the small tree's does not call them.
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const name of ['bc', 'bison', 'flex']) writeFileSync(join(bin, name), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`);
  kernel = smallKernel(folder);
  fix = patch('fix', patchOf(kernel.source, 'fs/answer.c', 'n * 3', 'n * 4'));
});

function patch(name: string, text: string): string {
  const path = join(folder, `${name}.patch`);
  writeFileSync(path, text);
  return path;
}

const run = (patches: string[], more: string[] = [], runs = 'runs'): Promise<Ran> =>
  running([
    'build',
    ...patches,
    '--source',
    kernel.source,
    '--root',
    kernel.root,
    '--run-dir',
    join(folder, runs),
    '-o',
    join(folder, 'out.ko'),
    ...more,
  ]);

const resultOf = ({ stdout, stderr }: Ran): BuildResult => {
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout) as BuildResult;
};

const codes = ({ diagnostics, diff }: BuildResult): string[] =>
  [...diagnostics, ...(diff?.diagnostics ?? [])]
    .filter(({ severity }) => severity !== 'warning' && severity !== 'note')
    .map(({ code }) => code);

/** Logs of compilers: one for each that ran in the last run that compiled that unit. */
function logs(runs: string): string[] {
  const [builds] = readdirSync(join(folder, runs, 'builds'));
  return readdirSync(join(folder, runs, 'builds', builds!, 'logs')).sort();
}

test('a patch is compiled to both objects, and what does not run is not patched', async () => {
  const before = stateOf(kernel.source);
  const result = resultOf(await run([fix], [...ANY, '--json']));
  expect(result).toMatchObject({
    verdict: 'refused',
    units: [{ source: 'fs/answer.c', owner: 'vmlinux', changed: true }],
    output: null,
  });
  expect(result.kernel).toMatchObject({ release: RELEASE, image: join(kernel.root, `boot/vmlinuz-${RELEASE}`) });
  // The differ names the function, and the one that it is inlined into; the image has neither.
  expect(result.diff!.objects[0]!.functions.changed.map(({ name }) => name)).toEqual(['first', 'second']);
  expect(codes(result).length).toBeGreaterThan(0);
  expect(existsSync(join(folder, 'out.ko'))).toBe(false);
  expect(stateOf(kernel.source)).toBe(before);
  expect(existsSync(join(kernel.source, 'include/generated'))).toBe(false);
});

test('a second patch compiles only what it touches; the tree is not made again', async () => {
  await run([fix], ANY, 'second');
  const [builds] = readdirSync(join(folder, 'second/builds'));
  const work = join(folder, 'second/builds', builds!);
  const [original, tree] = [join(work, 'objects/fs__answer.o/orig.o'), join(work, 'tree/fs/answer.c')].map(
    (path) => [path, readFileSync(path)] as const,
  );
  const other = patch('other', patchOf(kernel.source, 'fs/answer.c', '- ANSWER', '+ ANSWER'));
  const ran = await run([other], [...ANY, '--progress', 'lines'], 'second');
  expect(ran.stderr).not.toMatch(/copying|olddefconfig|prepare/);
  expect(ran.stderr).toMatch(/compiling one unit with the patch/);
  expect(readFileSync(original![0])).toEqual(original![1]);
  // What only a linked kernel needs is not built.
  expect(existsSync(join(work, 'tree/tools/bpf/resolve_btfids/resolve_btfids'))).toBe(false);
  // Both patches were in the tree for a moment, and neither is left.
  expect(readFileSync(tree![0])).toEqual(tree![1]);
  expect(readdirSync(join(work, 'objects/fs__answer.o')).filter((name) => /^patched-\w+\.o$/.test(name))).toHaveLength(
    2,
  );
});

test('a header is compiled where it is included, and counts where the code changes', async () => {
  const header = patch('header', patchOf(kernel.source, 'include/answer.h', '42', '43'));
  const result = resultOf(await run([header], [...ANY, '--json']));
  expect(result.units).toEqual([{ source: 'fs/answer.c', owner: 'vmlinux', changed: true }]);
  expect(result.diff!.objects[0]!.functions.changed.map(({ name }) => name)).toEqual(['second']);
  // Nobody uses what changes here; the unit is compiled all the same.
  const unused = patch(
    'unused',
    '--- a/include/answer.h\n+++ b/include/answer.h\n@@ -1 +1,2 @@\n #define ANSWER 42\n+#define QUESTION 6\n',
  );
  const ran = await run([unused], [...ANY, '--json']);
  expect(resultOf(ran)).toMatchObject({ verdict: 'unchanged', units: [{ source: 'fs/answer.c', changed: false }] });
  expect(ran.status).toBe(3);
});

test('a C file that another includes is compiled in both', async () => {
  const format = patch('format', patchOf(kernel.source, 'fs/format.c', 'n + 7', 'n + 8'));
  const result = resultOf(await run([format], [...ANY, '--json']));
  expect(result.units.map(({ source, changed }) => [source, changed])).toEqual([
    ['fs/format.c', true],
    ['fs/compat.c', true],
  ]);
  expect(result.diff!.objects[0]!.functions.changed.map(({ name }) => name)).toEqual(['format', 'compat_format']);
});

test('a patch may have callbacks where the kernel has no header for them', async () => {
  const added = [
    '--- a/fs/answer.c',
    '+++ b/fs/answer.c',
    '@@ -1,5 +1,9 @@',
    ' #include <answer.h>',
    '+#include <linux/livepatch_helpers.h>',
    ' #include <made.h>',
    ' ',
    ' int seen;',
    ' ',
    '+static int prepare(struct klp_object *object) { seen = 42; return 0; }',
    '+KLP_PRE_PATCH_CALLBACK(prepare);',
    '+',
  ];
  const result = resultOf(
    await run([patch('callback', `${added.join('\n')}\n`), fix], [...ANY, '--json'], 'callbacks'),
  );
  const [unit] = result.pairs;
  // The name that says to which object of the livepatch it belongs.
  expect(execFileSync('nm', [unit!.patched], { encoding: 'utf8' })).toMatch(/ __klp_pre_patch_callback_vmlinux$/m);
  expect(execFileSync('nm', [unit!.orig], { encoding: 'utf8' })).not.toContain('callback');
  expect(result.diff!.objects[0]!.functions.new.map(({ name }) => name)).toEqual(['prepare']);
});

test('comments alone are unchanged', async () => {
  const comment = patch('comment', patchOf(kernel.source, 'fs/answer.c', 'The first.', 'This is the first.'));
  const ran = await run([comment], [...ANY, '--json']);
  expect(ran.status, ran.stderr).toBe(3);
  expect(resultOf(ran)).toMatchObject({ verdict: 'unchanged', units: [{ changed: false }], output: null, diff: null });
});

test('all that cannot work is said at once, before anything is compiled', async () => {
  const config = join(folder, 'config');
  const wrong = ['LTO_CLANG', 'GCC_PLUGIN_RANDSTRUCT', 'GCC_PLUGIN_LATENT_ENTROPY', 'LD_DEAD_CODE_DATA_ELIMINATION'];
  wrong.push('TRIM_UNUSED_KSYMS');
  writeFileSync(config, ['MODULES', 'DYNAMIC_FTRACE', ...wrong].map((name) => `CONFIG_${name}=y\n`).join(''));
  const [build, reversed] = [
    patch(
      'build',
      '--- a/fs/Makefile\n+++ b/fs/Makefile\n@@ -1 +1 @@\n-obj-y := answer.o\n+obj-y := answer.o unused.o\n',
    ),
    patch(
      'reversed',
      patchOf(kernel.source, 'fs/answer.c', 'n * 3', 'n * 4')
        .replace('-\treturn n * 3', '-\treturn n * 4')
        .replace('+\treturn n * 4', '+\treturn n * 3'),
    ),
  ];
  // Without --scope it would be scope whole, which takes LTO.
  const ran = await run([build, reversed], ['--config', config, '--scope', 'units', '--json'], 'refused');
  expect(ran.status).toBe(2);
  const { diagnostics } = resultOf(ran);
  expect(codes(resultOf(ran)).sort()).toEqual([
    'build-compiler',
    'build-config',
    'patch-build-files',
    'patch-reversed',
  ]);
  const { message } = diagnostics.find(({ code }) => code === 'build-config')!;
  for (const name of ['LIVEPATCH is not set', 'KALLSYMS_ALL is not set', ...wrong.map((one) => `${one} is set`)])
    expect(message).toContain(`CONFIG_${name}`);
  expect(logs('refused')).toEqual(['unpack.log']);
});

test.for<[what: string, path: string, from: string, to: string, code: string]>([
  ['a file that is not compiled', 'fs/unused.c', '1', '2', 'unit-not-built'],
  ['a module whose file is not there', 'fs/driver.c', '1', '2', 'module-not-found'],
])('%s is told', async ([, path, from, to, code]) => {
  expect(
    codes(resultOf(await run([patch('unit', patchOf(kernel.source, path, from, to))], [...ANY, '--json']))),
  ).toEqual([code]);
});

test('a unit that does not compile shows the last lines and the way to the log', async () => {
  const wrong = patch('wrong', patchOf(kernel.source, 'fs/answer.c', 'n * 3', 'm * 3'));
  const ran = await run([wrong], [...ANY, '--json']);
  expect(ran.status).toBe(1);
  const { code, message, where } = errorOf(ran);
  expect(code).toBe('compile-failed');
  expect(message).toMatch(/compiling fs\/answer\.c failed.*'m' undeclared/s);
  expect(readFileSync(where.object!, 'utf8')).toContain("'m' undeclared");
  // The next patch finds the tree as it was.
  expect(resultOf(await run([fix], [...ANY, '--json'])).diff!.objects[0]!.functions.changed).toHaveLength(2);
});

test('a make that fails is told with its words', async () => {
  const other = smallKernel(join(folder, 'broken'));
  writeFileSync(join(other.source, 'broken'), '');
  const ran = await running([
    'build',
    fix,
    '--source',
    other.source,
    '--root',
    other.root,
    '--run-dir',
    join(folder, 'broken/runs'),
    ...ANY,
    '--json',
  ]);
  expect(errorOf(ran)).toMatchObject({
    code: 'make-failed',
    message: expect.stringContaining('Kconfig:7: syntax error'),
  });
});

test('a tree of another version, and a kernel that is not there, are told', async () => {
  const other = smallKernel(join(folder, 'version'));
  const makefile = join(other.source, 'Makefile');
  writeFileSync(makefile, readFileSync(makefile, 'utf8').replace('PATCHLEVEL = 12', 'PATCHLEVEL = 13'));
  const build = (...more: string[]): Promise<Ran> =>
    running([
      'build',
      fix,
      '--source',
      other.source,
      '--run-dir',
      join(folder, 'version/runs'),
      ...ANY,
      '--json',
      ...more,
    ]);
  expect(codes(resultOf(await build('--root', other.root)))).toEqual(['build-release']);
  const absent = resultOf(await build('--root', other.root, '--kernel', '9.9.9-none'));
  expect(codes(absent)).toEqual(['kernel-not-found']);
  expect(absent.diagnostics[0]!.message).toContain('boot/vmlinuz-9.9.9-none');
  expect(errorOf(await build('--root', join(folder, 'version/source')))).toMatchObject({ code: 'usage' });
});

test('what is no kernel source is told', async () => {
  const ran = await running([
    'build',
    fix,
    '--source',
    folder,
    '--root',
    kernel.root,
    '--run-dir',
    join(folder, 'runs'),
    ...ANY,
    '--json',
  ]);
  expect(errorOf(ran)).toMatchObject({ code: 'not-kernel-source' });
});

describe('killed', () => {
  test('at ten moments: the tree is as it was, nothing is left running, and the next run ends as one that was not', {
    timeout: 300_000,
  }, async () => {
    const before = stateOf(kernel.source);
    const whole = resultOf(await run([fix], [...ANY, '--json'], 'whole'));
    for (let i = 0; i < 10; i++) {
      let killed = false;
      const ran = await running(
        [
          'build',
          fix,
          '--source',
          kernel.source,
          '--root',
          kernel.root,
          '--run-dir',
          join(folder, 'killed'),
          ...ANY,
          '--progress',
          'json',
          '-o',
          join(folder, 'killed.ko'),
        ],
        { onLine: (_, child) => void (!killed && setTimeout(() => (killed = child.kill('SIGKILL')), 40 + i * 60)) },
      );
      expect(ran.signal === 'SIGKILL' || ran.status === 2).toBe(true);
      expect(stateOf(kernel.source)).toBe(before);
    }
    const after = resultOf(await run([fix], [...ANY, '--json'], 'killed'));
    expect(after.diff!.objects).toEqual(whole.diff!.objects);
    expect(after.diagnostics.map(({ code }) => code)).toEqual(whole.diagnostics.map(({ code }) => code));
    const [builds] = readdirSync(join(folder, 'killed/builds'));
    const left = readdirSync(join(folder, 'killed/builds', builds!));
    expect(left.filter((name) => /^(?:lock|child|swap|saved|unpacking)/.test(name))).toEqual([]);
    expect(readFileSync(join(folder, 'killed/builds', builds!, 'tree/fs/answer.c'))).toEqual(
      readFileSync(join(kernel.source, 'fs/answer.c')),
    );
  });
});

test('a kept tree of which a removal that was stopped left a part is made anew', async () => {
  await run([fix], ANY, 'part');
  const [builds] = readdirSync(join(folder, 'part/builds'));
  const work = join(folder, 'part/builds', builds!);
  for (const name of ['Makefile', 'fs/answer.c']) rmSync(join(work, 'tree', name));
  mkdirSync(join(folder, 'part/builds/other.removed/logs'), { recursive: true });
  const other = patch('part', patchOf(kernel.source, 'fs/answer.c', '- ANSWER', '+ ANSWER'));
  const after = resultOf(await run([other], [...ANY, '--json'], 'part'));
  expect(after.diff!.objects[0]!.functions.changed.map(({ name }) => name)).toEqual(['second']);
  expect(existsSync(join(work, 'tree/Makefile'))).toBe(true);
  expect(readdirSync(join(folder, 'part/builds'))).toEqual([builds]);
});

test('two at once in one tree: the second waits, both end the same', async () => {
  const [one, two] = await Promise.all([
    run([fix], [...ANY, '--json'], 'both'),
    run([fix], [...ANY, '--json'], 'both'),
  ]);
  expect(resultOf(one).diff!.objects).toEqual(resultOf(two).diff!.objects);
});
