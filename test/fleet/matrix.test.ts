/**
 * `klpflow matrix` on one machine. Guarded against: a cell that is lost or taken from another one, an exit code of all but the worst cell, results that
 * depend on where and in which order they were made, and work that is done again.
 */
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { MatrixCheck, MatrixResult } from '../../src/index';
import { MAIN, errorOf, running, type Ran } from '../support/run-klpflow';
import { smallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const YAML = [
  'kernels:',
  '  - { name: alpha, orig: alpha/orig.o }',
  '  - { name: beta, orig: beta/orig.o }',
  'patches:',
  '  - { name: code, patched: "{kernel}/code.o" }',
  '  - { name: data, patched: "{kernel}/data.o", only: [alpha] }',
  '  - { name: same, patched: "{kernel}/orig.o" }',
  '',
].join('\n');

/** Kernel alpha takes the patch `code`, beta refuses it. */
beforeAll(async () => {
  const good = await smallPair(join(folder, 'good'), 40, { immediates: 2 });
  const bad = await smallPair(join(folder, 'bad'), 40, { data: 1 });
  for (const name of ['alpha', 'beta']) mkdirSync(join(folder, name));
  copyFileSync(good.orig, join(folder, 'alpha/orig.o'));
  copyFileSync(good.patched, join(folder, 'alpha/code.o'));
  copyFileSync(bad.patched, join(folder, 'alpha/data.o'));
  copyFileSync(bad.orig, join(folder, 'beta/orig.o'));
  copyFileSync(bad.patched, join(folder, 'beta/code.o'));
  writeFileSync(join(folder, 'fleet.yaml'), YAML);
});

const matrix = (...more: string[]): Promise<Ran> => inRuns('runs', ...more);
const inRuns = (runs: string, ...more: string[]): Promise<Ran> =>
  running(['matrix', 'fleet.yaml', '--run-dir', runs, '-o', 'out', ...more], { cwd: folder });
const parsed = <T = MatrixResult>({ stdout, stderr }: Ran): T => {
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout) as T;
};
const verdicts = ({ cells }: MatrixResult): string[] =>
  cells.map(({ kernel, patch, verdict }) => `${kernel} ${patch} ${verdict}`);
const ALL = [
  'alpha code patchable',
  'alpha data refused',
  'alpha same unchanged',
  'beta code refused',
  'beta same unchanged',
];
/** What must be the same in every run. */
const lasting = (result: MatrixResult): string => JSON.stringify({ ...result, run: undefined });

let first: MatrixResult;

test('every cell ends with its own verdict, the worst is the exit code, and each has its files', async () => {
  const ran = await matrix('--json', '--progress', 'none');
  first = parsed(ran);
  expect(ran.status).toBe(2);
  expect(verdicts(first)).toEqual(ALL);
  expect(first.verdict).toBe('refused');
  const [code, data] = first.cells;
  expect(code!.functions.length).toBe(2);
  expect(data!.reasons.map(({ code: why }) => why)).toContain('changed-data');
  // What the same patch came to on the other kernel, and why.
  expect(first.differences).toEqual([
    {
      patch: 'code',
      groups: [
        { verdict: 'patchable', why: code!.functions.toSorted(), reasons: [], kernels: ['alpha'] },
        {
          verdict: 'refused',
          why: ['changed-data'],
          reasons: [{ code: 'changed-data', message: expect.stringMatching(/^the initial value of \S+ changed/) }],
          kernels: ['beta'],
        },
      ],
    },
  ]);
  for (const { kernel, patch } of first.cells) {
    const result = readFileSync(join(folder, `out/${kernel}/livepatch-${patch}.json`), 'utf8');
    expect(result).not.toContain(folder);
    expect(readFileSync(join(folder, `out/${kernel}/livepatch-${patch}.html`), 'utf8')).toContain(
      `<h1>${kernel}, ${patch}: `,
    );
  }
  const page = readFileSync(join(folder, 'out/index.html'), 'utf8');
  for (const { kernel, patch } of first.cells) expect(page).toContain(`href="${kernel}/livepatch-${patch}.html"`);
  expect(page).not.toMatch(/src=|https?:/);
});

test('a second run does nothing again, and says the same', async () => {
  const inodes = (): number[] =>
    first.cells.map(({ kernel, patch }) => statSync(join(folder, `out/${kernel}/livepatch-${patch}.html`)).ino);
  const before = inodes();
  const left = ['.old.html.1.0.tmp', '.new.html.1.0.tmp'].map((name) => join(folder, 'out/alpha', name));
  for (const path of left) writeFileSync(path, '');
  utimesSync(left[0]!, 1, 1);
  const again = parsed(await matrix('--json', '--progress', 'none'));
  expect(again.run.cells.every(({ seconds }) => seconds === null)).toBe(true);
  expect(lasting(again)).toBe(lasting(first));
  // Files that are the same are not written anew, and what a killed run left long ago is gone.
  expect(inodes()).toEqual(before);
  expect(left.map((path) => existsSync(path))).toEqual([false, true]);
  rmSync(left[1]!);
});

test('another place, one cell after the other, is the same to the byte', async () => {
  const other = await running(
    [
      'matrix',
      join(folder, 'fleet.yaml'),
      '--run-dir',
      join(folder, 'elsewhere'),
      '-o',
      join(folder, 'second'),
      '--workers',
      '1',
      '--json',
      '--progress',
      'none',
    ],
    { cwd: '/' },
  );
  expect(lasting(parsed(other))).toBe(lasting(first));
  const files = (out: string): string[] =>
    readdirSync(join(folder, out), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.includes('/'))
      .sort();
  expect(files('second')).toEqual(files('out'));
  for (const name of files('out'))
    expect(readFileSync(join(folder, 'second', name)).equals(readFileSync(join(folder, 'out', name))), name).toBe(true);
});

test('a changed input is a new job, and only that', async () => {
  copyFileSync(join(folder, 'alpha/orig.o'), join(folder, 'alpha/data.o'));
  const changed = parsed(await matrix('--json', '--progress', 'none'));
  expect(verdicts(changed)[1]).toBe('alpha data unchanged');
  // Its inputs are those of `same` but for the name of the livepatch.
  expect(changed.run.cells.map(({ seconds }) => seconds !== null)).toEqual([false, true, false, false, false]);
  copyFileSync(join(folder, 'bad/patched.o'), join(folder, 'alpha/data.o'));
});

test('what is missing is told of every cell before anything is done, and others are done', async () => {
  rmSync(join(folder, 'beta/code.o'));
  mkdirSync(join(folder, 'beta/code.o'));
  rmSync(join(folder, 'alpha/data.o'));
  const checked = await inRuns('fresh', '--check', '--json');
  expect(checked.status).toBe(1);
  const { missing, ok } = parsed<MatrixCheck>(checked);
  expect(ok).toBe(false);
  expect(
    missing.map(({ kernel, patch, diagnostics }) => [kernel, patch, ...diagnostics.map(({ code }) => code)]),
  ).toEqual([
    ['alpha', 'data', 'unreadable'],
    ['beta', 'code', 'not-regular-file'],
  ]);
  expect(existsSync(join(folder, 'fresh/objects'))).toBe(false);
  const ran = await matrix('--progress', 'lines');
  expect(ran.status).toBe(1);
  expect(ran.stdout).toMatch(/^FAILED {2}2 kernels, 3 patches: 1 patchable, 2 unchanged, 2 failed$/m);
  expect(ran.stderr).toMatch(/beta code: FAILED {2}not-regular-file/);
  // What an earlier run left there is of another content.
  expect(readdirSync(join(folder, 'out/alpha'))).not.toContain('livepatch-data.html');
  rmSync(join(folder, 'beta/code.o'), { recursive: true });
  copyFileSync(join(folder, 'bad/patched.o'), join(folder, 'beta/code.o'));
  copyFileSync(join(folder, 'bad/patched.o'), join(folder, 'alpha/data.o'));
});

test('an object that is none is a failed cell, whose next run tries again', async () => {
  writeFileSync(join(folder, 'alpha/data.o'), 'no object');
  const ran = parsed(await matrix('--json', '--progress', 'none'));
  expect(ran.cells[1]).toMatchObject({ verdict: 'failed', reasons: [{ code: 'not-elf' }] });
  copyFileSync(join(folder, 'bad/patched.o'), join(folder, 'alpha/data.o'));
  expect(verdicts(parsed(await matrix('--json', '--progress', 'none')))).toEqual(ALL);
});

test.each(['SIGKILL', 'SIGINT'] as const)(
  '%s in the middle: what is done is kept, and the next run ends the same',
  async (signal) => {
    const runs = `runs-${signal}`;
    const child = spawn(
      process.execPath,
      [MAIN, 'matrix', 'fleet.yaml', '--run-dir', runs, '-o', 'out', '--workers', '1', '--progress', 'lines'],
      {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (/ 2\/5 /.test(said)) child.kill(signal);
    });
    const [status] = await new Promise<[number | null]>((resolve) => child.on('close', (code) => resolve([code])));
    expect(status, said).toBe(signal === 'SIGINT' ? 130 : null);
    const next = parsed(await inRuns(runs, '--json', '--progress', 'none'));
    expect(lasting(next)).toBe(lasting(first));
    const reused = next.run.cells.filter(({ seconds }) => seconds === null).length;
    expect(reused).toBeGreaterThanOrEqual(2);
    expect(readdirSync(join(folder, runs, 'jobs'))).toEqual([]);
  },
);

test('a file that is no matrix, or not there, is one error', async () => {
  writeFileSync(join(folder, 'bad.yaml'), 'kernels: 1\n');
  const ran = await running(['matrix', 'bad.yaml', '--json', '--run-dir', 'runs', '-o', 'never'], { cwd: folder });
  expect(errorOf(ran)).toMatchObject({ code: 'malformed-matrix' });
  expect(ran.status).toBe(1);
  expect(errorOf(await running(['matrix', 'gone.yaml', '--json', '--run-dir', 'runs'], { cwd: folder })).code).toBe(
    'unreadable',
  );
});
