/**
 * klpflow's answers on synthetic pairs, graded against what was put in: every change found, none made up. The same pairs at
 * 100 MB and more: `npm run test:scale`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { grade, type Answer, type Manifest } from '../../src/synth';
import { readelf, readelfComplaints } from '../support/readelf';
import { klpflow } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const CHANGED = [
  '--immediates',
  '5',
  '--call-targets',
  '5',
  '--strings',
  '5',
  '--instructions',
  '5',
  '--static-locals',
  '5',
  '--new-functions',
  '5',
  '--removed-functions',
  '3',
  '--moves',
  '5',
];

const ARM64 = ['--shape', 'linux-7.3-arm64'];

interface Graded {
  manifest: Manifest;
  answer: Answer;
  orig: string;
}

async function graded(name: string, ...flags: string[]): Promise<Graded> {
  const at = join(folder, name);
  const made = await klpflow(['synth', '-o', at, '--functions', '1500', ...CHANGED, ...flags]);
  expect(made.stderr).toBe('');
  const manifest = JSON.parse(readFileSync(join(at, 'manifest.json'), 'utf8')) as Manifest;
  const asked = await klpflow([
    'diff',
    join(at, 'orig.o'),
    join(at, 'patched.o'),
    '--run-dir',
    join(at, 'run'),
    '--json',
    '--progress',
    'none',
  ]);
  return { manifest, answer: JSON.parse(asked.stdout) as Answer, orig: join(at, 'orig.o') };
}

describe('klpflow finds what was changed and nothing else', () => {
  it.each([
    ['function sections, as ThinLTO leaves them', []],
    ['function sections, as GCC leaves them', ['--shape', 'debian-6.12-gcc', '--seed', '2']],
    ['one .text', ['--single-text', '--seed', '3']],
    ["functions that share their unit's section", ['--sections', '4000', '--seed', '4']],
    ['arm64, as ThinLTO leaves it', [...ARM64, '--seed', '8']],
    ['arm64 with one .text', [...ARM64, '--single-text', '--seed', '9']],
    ["arm64's functions that share their unit's section", [...ARM64, '--sections', '3500', '--seed', '10']],
  ])('%s', async (name, flags) => {
    const { manifest, answer, orig } = await graded(name.replace(/\W+/g, '-'), ...flags);
    expect(readelfComplaints(orig, '-hSsW')).toBe('');
    expect(manifest.functions.changed.length).toBe(30);
    expect(manifest.functions.moved.length).toBe(5);
    expect(grade(manifest, answer)).toEqual([]);
    expect(answer.verdict).toBe('patchable');
  });

  it.each([
    ['x86-64', []],
    ['arm64', ARM64],
  ])('and refuses what cannot be patched, with every reason (%s)', async (name, shape) => {
    const { manifest, answer } = await graded(
      `refused-${name}`,
      '--data',
      '2',
      '--init-functions',
      '2',
      '--ambiguous',
      '1',
      '--seed',
      '5',
      ...shape,
    );
    expect(grade(manifest, answer)).toEqual([]);
    expect(answer.verdict).toBe('refused');
  });

  it.each([
    ['x86-64', []],
    ['arm64', ARM64],
  ])('with debug information, which readelf takes without a word (%s)', async (name, shape) => {
    const { manifest, answer, orig } = await graded(`debug-${name}`, '--size', '12M', '--seed', '6', ...shape);
    expect(grade(manifest, answer)).toEqual([]);
    expect(Math.abs(manifest.orig.bytes - 12e6)).toBeLessThan(0.02 * 12e6);
    const units = readelf(orig, '--debug-dump=info').filter((line) => line.includes('(DW_TAG_compile_unit)')).length;
    expect(units).toBeGreaterThan(10);
    expect(readelfComplaints(orig, '--debug-dump=info,line,aranges,abbrev')).toBe('');
  });
});

it('grading sees what is missing, what is made up, and what is wrongly refused', async () => {
  const { manifest, answer } = await graded('premise', '--seed', '7');
  const [object] = answer.objects;
  const { changed } = object!.functions;
  const told = (edit: (functions: typeof changed) => typeof changed): string[] =>
    grade(manifest, {
      ...answer,
      objects: [{ ...object!, functions: { ...object!.functions, changed: edit(changed) } }],
    });
  expect(told((functions) => functions)).toEqual([]);
  expect(told((functions) => functions.slice(1))).toEqual([expect.stringMatching(/is missing 1 times$/)]);
  expect(told((functions) => [...functions, { name: 'nobody_changed_this' }])).toEqual([
    'functions changed: nobody_changed_this is reported 1 times too often',
  ]);
  expect(
    grade(manifest, { ...answer, diagnostics: [{ code: 'ambiguous-twin', severity: 'error', message: 'which?' }] }),
  ).toEqual(['refused with ambiguous-twin: which?']);
  expect(grade({ ...manifest, data: { changed: ['jiffies_data'], new: [], ambiguous: [] } }, answer)).toContain(
    'no diagnostic changed-data',
  );
});

it('makes functions shorter or longer for as many relocations as are asked for', async () => {
  for (const [name, relas, ...flags] of [
    ['few', 24_000, '--single-text'],
    ['many', 80_000],
  ] as Array<[string, number, ...string[]]>) {
    const { manifest, answer, orig } = await graded(name, '--relas', String(relas), ...flags);
    const found = readelf(orig, '-SW')
      .flatMap((line) => / RELA +\S+ \S+ (\S+)/.exec(line)?.[1] ?? [])
      .reduce((sum, size) => sum + parseInt(size, 16) / 24, 0);
    expect(found).toBe(manifest.orig.relas);
    expect(Math.abs(found - relas)).toBeLessThan(0.1 * relas);
    expect(grade(manifest, answer)).toEqual([]);
  }
});

it('refuses sizes that no such object has', async () => {
  const run = async (...flags: string[]): Promise<string> =>
    (await klpflow(['synth', '-o', join(folder, 'none'), '--functions', '500', ...flags])).stderr;
  expect(await run('--size', '100k')).toContain('fewer functions or more bytes');
  expect(await run('--sections', '1000000')).toContain('functions of this shape have');
  for (const relas of ['1000', '1000000000'])
    expect(await run('--relas', relas)).toMatch(/functions of this shape have \d+ to \d+ relocations/);
  expect(await run('--size', 'big')).toContain('--size big');
  expect(await run('--shape', '/dev/null')).toContain('--shape /dev/null');
});
