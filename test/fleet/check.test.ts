/**
 * `matrix --check` over kernels that are built. Guarded against: a night's run that ends in the morning with what could have been said in the evening, a complaint that does not say where
 * in the file, and a check that unpacks or builds.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import type { MatrixCheck } from '../../src/index';
import { running, type Ran } from '../support/run-klpflow';
import { RELEASE, patchOf, smallKernel, stateOf, type SmallKernel } from '../support/small-kernel';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let kernel: SmallKernel;

/** What a build of a real kernel needs, and this machine may lack. */
beforeAll(() => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const name of ['bc', 'bison', 'flex']) writeFileSync(join(bin, name), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`);
  kernel = smallKernel(folder);
  execFileSync('tar', ['-cJf', 'packed.tar.xz', '--transform', 's,^source,linux-of-us-6.12,', 'source'], {
    cwd: folder,
  });
  writeFileSync(join(folder, 'fix.patch'), patchOf(kernel.source, 'fs/answer.c', 'n * 3', 'n * 4'));
  writeFileSync(
    join(folder, 'other.patch'),
    patchOf(kernel.source, 'fs/answer.c', 'n * 3', 'n * 4').replace('n * 3', 'n * 9'),
  );
  writeFileSync(join(folder, 'makefile.patch'), patchOf(kernel.source, 'fs/Makefile', 'obj-m', 'obj-y'));
});

async function check(lines: readonly string[], ...more: string[]): Promise<Ran & { said: MatrixCheck }> {
  writeFileSync(join(folder, 'fleet.yaml'), lines.join('\n'));
  const ran = await running(['matrix', 'fleet.yaml', '--check', '--run-dir', 'runs', '--progress', 'none', ...more], {
    cwd: folder,
  });
  return { ...ran, said: more.includes('--json') ? (JSON.parse(ran.stdout) as MatrixCheck) : ({} as MatrixCheck) };
}

const told = (cells: MatrixCheck['missing']): string[] =>
  cells.flatMap(({ kernel: of, patch, diagnostics }) =>
    diagnostics.map(({ at, code }) => `${of} ${patch} ${at} ${code}`),
  );

const DEFAULTS = ['defaults:', '  kernel: { root: root }', '  patch: { allow: [build-compiler] }'];

test('all that is missing is said of all kernels, each with its line and column', async () => {
  const { said, status } = await check(
    [
      ...DEFAULTS,
      'kernels:',
      `  - { name: there, source: source, kernel: ${RELEASE} }`,
      '  - name: bare',
      '    source: gone.tar.xz',
      '    kernel: 6.1.0-1',
      '    root: nowhere',
      '    config: gone.config',
      '    symvers: gone.symvers',
      '    make: [CLANG_AUTOFDO_PROFILE=/gone.profile]',
      `  - { name: folder, source: root, kernel: ${RELEASE} }`,
      'patches:',
      '  - { name: fix, files: fix.patch }',
      '  - name: gone',
      '    files: [fix.patch, gone.patch]',
      '    only: [there]',
      '',
    ],
    '--json',
  );
  expect(status).toBe(1);
  expect(told(said.missing).sort()).toEqual(
    [
      'there gone fleet.yaml:17:24 unreadable',
      'bare fix fleet.yaml:7:13 unreadable',
      'bare fix fleet.yaml:6:5 kernel-not-found',
      'bare fix fleet.yaml:10:13 unreadable',
      'bare fix fleet.yaml:11:14 unreadable',
      'bare fix fleet.yaml:6:5 unreadable',
      'folder fix fleet.yaml:13:29 not-kernel-source',
    ].sort(),
  );
  expect(said).toMatchObject({ ok: false, cells: 4, refused: [] });
});

test.each(['source', 'packed.tar.xz'])(
  'patches that do not fit %s are refused, and nothing is unpacked for good',
  async (source) => {
    const before = stateOf(kernel.source);
    const file = [
      ...DEFAULTS,
      'kernels:',
      `  - { name: one, source: ${source}, kernel: ${RELEASE} }`,
      'patches:',
      '  - { name: fix, files: fix.patch }',
      '  - { name: other, files: other.patch }',
      '  - { name: twice, files: [fix.patch, fix.patch] }',
      '  - { name: levels, files: fix.patch, strip: 0 }',
      '  - { name: makefile, files: makefile.patch }',
      '',
    ];
    const { said, status } = await check(file, '--json');
    expect(told(said.refused)).toEqual([
      'one other fleet.yaml:8:27 patch-not-applicable',
      'one twice fleet.yaml:9:28 patch-reversed',
      'one levels fleet.yaml:10:28 patch-level',
      'one makefile fleet.yaml:11:5 patch-build-files',
    ]);
    expect(said.missing).toEqual([]);
    expect(status).toBe(2);
    expect(existsSync(join(folder, 'runs/builds')) ? readdirSync(join(folder, 'runs/builds')) : []).toEqual([]);
    expect(readdirSync(join(folder, 'runs/tmp')).filter((name) => name.startsWith('sources-'))).toEqual([]);
    expect(stateOf(kernel.source)).toBe(before);
    const { stdout } = await check(file);
    expect(stdout).toMatch(
      /^REFUSED {2}4 of 5 cells of 1 kernel and 5 patches: the patch does not fit\n {2}one other\n {4}fleet\.yaml:8:27: patch-not-applicable: other\.patch: /,
    );
  },
);

test('a source of another version is told of every patch', async () => {
  const file = (name: string): string[] => [
    ...DEFAULTS,
    'kernels:',
    `  - { name: one, source: ${name}, kernel: ${RELEASE} }`,
    'patches:',
    '  - { name: fix, files: fix.patch }',
    '',
  ];
  execFileSync('cp', ['-r', 'source', 'newer'], { cwd: folder });
  execFileSync('sed', ['-i', 's/^PATCHLEVEL = .*/PATCHLEVEL = 13/', 'newer/Makefile'], { cwd: folder });
  const { said } = await check(file('newer'), '--json');
  expect(told(said.missing)).toEqual(['one fix fleet.yaml:5:26 build-release']);
  const good = await check(file('source'));
  expect(good.stdout).toMatch(/^READY {2}1 cell of 1 kernel and 1 patch: nothing is missing$/m);
  expect(good.status).toBe(0);
});
