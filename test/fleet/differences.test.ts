/**
 * What differs between kernels for one patch, in text and on the page. Guarded against: a list of codes that says nothing of why, kernels that are told apart by names which Clang makes
 * anew in each, and links that lead nowhere.
 */
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { FleetKernel, Matrix } from '../../src/fleet/matrix';
import type { Outcome } from '../../src/fleet/run';
import { reportOf, type MatrixResult } from '../../src/fleet/report';
import { writeFleet } from '../support/fleet';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let stdout: string;
let page: string;
let result: MatrixResult;

beforeAll(async () => {
  await writeFleet(folder, 3, 1);
  for (const kernel of ['k0', 'k1']) copyFileSync(join(folder, kernel, 'patched.o'), join(folder, kernel, 'mixed.o'));
  copyFileSync(join(folder, 'k2/refused.o'), join(folder, 'k2/mixed.o'));
  const kernels = ['k0', 'k1', 'k2'].map((name) => `  - { name: ${name}, orig: ${name}/orig.o }`);
  const patches = [
    '  - { name: mixed, patched: "{kernel}/mixed.o" }',
    '  - { name: gone, patched: k0/gone.o, only: [k0] }',
  ];
  writeFileSync(join(folder, 'mixed.yaml'), ['kernels:', ...kernels, 'patches:', ...patches, ''].join('\n'));
  const ran = await running(['matrix', 'mixed.yaml', '-o', 'out', '--run-dir', 'runs', '--progress', 'none'], {
    cwd: folder,
  });
  expect(ran.status, ran.stderr).toBe(1);
  stdout = ran.stdout;
  page = readFileSync(join(folder, 'out/index.html'), 'utf8');
  result = JSON.parse(readFileSync(join(folder, 'out/matrix.json'), 'utf8')) as MatrixResult;
});

test('the text says which kernels refuse the patch, and why in a sentence', () => {
  const [, said = ''] = stdout.split('what differs between kernels:\n');
  expect(said).toMatch(/^ {2}mixed\n {4}PATCHABLE +k0: \S+/);
  expect(said).toMatch(/^ {4}REFUSED +k2: changed-data\n {6}changed-data: the initial value of \S+ changed$/m);
  // Another patch, which is for one kernel, differs from nothing.
  expect(said).not.toContain('gone');
});

test('the page says the same, with links to the cells', () => {
  const [, section = ''] = /<h2 id="differences">([^]*?)<\/section>/.exec(page) ?? [];
  expect(section).toMatch(
    /REFUSED<\/td><td><a href="#k2--mixed">k2<\/a><\/td><td><p><code>changed-data<\/code> the initial value/,
  );
  expect(section).toMatch(/PATCHABLE<\/td><td><a href="#k0--mixed">k0<\/a>/);
});

test('every link of the page leads somewhere', () => {
  const links = [...page.matchAll(/ href="([^"]*)"/g)].map(([, link]) => link!).filter((link) => link !== 'data:,');
  const ids = new Set([...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id));
  expect(links.length).toBeGreaterThan(10);
  for (const link of links)
    expect(link.startsWith('#') ? ids.has(link.slice(1)) : existsSync(join(folder, 'out', link)), link).toBe(true);
  // Each cell that came to something has its report; one that failed has none.
  for (const { kernel, patch, verdict } of result.cells)
    expect(links.includes(`${kernel}/livepatch-${patch}.html`), `${kernel} ${patch}`).toBe(verdict !== 'failed');
});

test('a name that Clang makes anew in each kernel is no difference', () => {
  const kernels = ['a', 'b'].map((name) => ({ name }) as FleetKernel);
  const matrix = { kernels, patches: [{ name: 'p' }] } as Matrix;
  const outcomes = kernels.map((kernel, i): Outcome => {
    const changed = [{ name: `f.llvm.${i + 1}` }, { name: 'g' }];
    const diff = { diagnostics: [], objects: [{ functions: { changed, carried: [] } }] };
    const found = { verdict: 'patchable', diff, build: null, diagnostics: [], livepatch: null };
    return {
      cell: { kernel, patch: matrix.patches[0]! },
      id: null,
      result: found as unknown as Outcome['result'],
      failed: null,
      seconds: 1,
      by: null,
    };
  });
  const { cells, differences } = reportOf(matrix, outcomes, { seconds: 1, runDir: '', store: '' }, () => null);
  expect(cells.map(({ functions }) => functions[0])).toEqual(['f.llvm.1', 'f.llvm.2']);
  expect(differences).toEqual([]);
});
