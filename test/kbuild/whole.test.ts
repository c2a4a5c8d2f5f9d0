/**
 * Scope `whole` on a tree that builds as a kernel's does: make is asked for vmlinux.o and modules and for nothing else, both builds differ by the patch alone, and
 * a second patch compiles what it touches. Whether a real kernel's livepatch works shows test/e2e.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { BuildResult } from '../../src/index';
import { errorOf, running, type Ran } from '../support/run-klpflow';
import { CONFIG, RELEASE, patchOf, smallKernel, stateOf, type SmallKernel } from '../support/small-kernel';
import { smallImage } from '../support/kernel-image';
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
  root = kernel.root,
): Promise<Ran> =>
  running([
    'build',
    ...patches,
    ...source,
    '--root',
    root,
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
  expect(existsSync(join(treeOf('whole'), 'tools/bpf/resolve_btfids/resolve_btfids'))).toBe(false);
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

describe('without an image', () => {
  /** A kernel of which configuration, exports and a module are at hand. */
  function bare(name: string, but: readonly string[] = []): string {
    const root = join(folder, name);
    const files = {
      [`boot/config-${RELEASE}`]: CONFIG,
      [`lib/modules/${RELEASE}/build/Module.symvers`]: '0x00000001\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n',
      [`lib/modules/${RELEASE}/kernel/some.ko`]: `\0name=some\0vermagic=${RELEASE} SMP \0`,
    };
    for (const [path, content] of Object.entries(files)) {
      if (but.some((part) => path.includes(part))) continue;
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    }
    return root;
  }
  const of = (root: string, more: string[] = []): Promise<Ran> =>
    built(['--source', kernel.source], [fix], 'bare', ['--kernel', RELEASE, ...more], root);

  test('the whole is built, and why and for how long is said', async () => {
    const ran = await of(bare('bare-root'), ['--progress', 'lines']);
    const result = resultOf(ran);
    const why = `no image of ${RELEASE} is at hand: what single units refer to, all of vmlinux.o has to tell`;
    expect(result.scope).toEqual({ name: 'whole', why });
    expect(ran.stderr).toContain(`scope whole: ${why}`);
    expect(ran.stderr).toMatch(/building vmlinux\.o as shipped: 3 units, about a minute with \d+ at a time/);
    expect(result.kernel).toMatchObject({ release: RELEASE, image: null });
    expect(result.diff!.objects[0]!.functions.changed.map(({ name }) => name).sort()).toEqual(['first', 'second']);
    // It was built once: the next patch need not wait, and is not told that it has to.
    expect((await of(join(folder, 'bare-root'), ['--progress', 'lines'])).stderr).not.toContain('as shipped');
  });

  test('an image that tells nothing is as good as none; one that is named is an error', async () => {
    const root = bare('mute-root');
    const image = join(root, `boot/vmlinuz-${RELEASE}`);
    // One whose symbol list is not where any kernel has it.
    writeFileSync(image, smallImage('6.12').bytes.fill(0, 0x11000, 0x38000));
    expect(resultOf(await of(root)).scope).toEqual({ name: 'whole', why: expect.stringContaining(image) });
    expect(errorOf(await of(root, ['--vmlinux', image]))).toMatchObject({ code: 'unusable-image' });
  });

  test.for<[what: string, but: string[], more: string[], told: RegExp]>([
    ['single units', [], ['--scope', 'units'], /the image of kernel .*boot\/vmlinuz-/],
    ['exports', ['symvers'], [], /^no image of .* in its place Module\.symvers \(--symvers FILE\) must be there$/],
    ['any module', ['kernel/'], [], /^no image of .*its modules \(--modules DIR\)/],
    ['a module of this release', ['kernel/'], ['--modules', ''], /^no image of .* and no module of .* is in /],
    ['a configuration: a release that is not there is not built', ['config'], [], /the image of kernel /],
    ['an image that is named', [], ['--vmlinux', 'absent'], /the image of kernel /],
  ])('nor %s: it is refused before anything is compiled', async ([what, but, more, told]) => {
    const others = join(folder, 'no-modules');
    mkdirSync(others, { recursive: true });
    const root = bare(`without-${what.replace(/\W+/g, '-')}`, but);
    const { verdict, diagnostics, pairs } = resultOf(
      await of(
        root,
        more.map((word) => word || others),
      ),
    );
    expect({ verdict, pairs }).toEqual({ verdict: 'refused', pairs: [] });
    expect(diagnostics.filter(({ severity }) => severity === 'refusal')).toEqual([
      expect.objectContaining({ code: 'kernel-not-found', message: expect.stringMatching(told) }),
    ]);
  });
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
