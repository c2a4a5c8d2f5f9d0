/**
 * What a person who writes the file gets wrong. Guarded against: a typing error that leaves a kernel out in silence, a complaint that does not say where,
 * and a name that YAML takes for a number.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { KlpflowError } from '../../src/diagnostics';
import { matrixOf, pairOf, type Matrix, type SavedKernel } from '../../src/fleet/matrix';
import { readMatrixFile } from '../../src/fleet/matrix-file';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

async function read(text: string): Promise<Matrix> {
  const path = join(folder, 'fleet.yaml');
  writeFileSync(path, text);
  return matrixOf(await readMatrixFile(path));
}

async function complaint(text: string): Promise<string> {
  const error = await read(text).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(KlpflowError);
  expect((error as KlpflowError).code).toBe('malformed-matrix');
  return (error as KlpflowError).message;
}

const KERNELS = 'kernels:\n  - name: one\n    orig: one.o\n  - name: two\n    orig: two.o\n';

test.each([
  ['kernels: [', /fleet\.yaml:1:11: /],
  ['- a\n- b\n', /fleet\.yaml:1:1: the file must be object/],
  ['{}', /the file lacks kernels[^]*the file lacks patches/],
  ['', /fleet\.yaml:1:1: the file must be object/],
  [
    `${KERNELS}patches:\n  - name: fix\n    patchd: a.o\n`,
    /fleet\.yaml:8:13: there is no patchd here; did you mean patched\?/,
  ],
  [
    'kernels:\n  - name: 6.10\n    orig: a\npatches: []\n',
    /fleet\.yaml:2:11: name is the number 6\.1: put it in quotes/,
  ],
  [
    'kernels:\n  - name: ../etc\n    orig: a\npatches:\n  - name: fix\n    patched: b\n',
    /fleet\.yaml:2:11: name: "\.\.\/etc" does not have the form/,
  ],
  [
    `${KERNELS}patches:\n  - name: fix\n    patched: b.o\n    only: [three]\n`,
    /fleet\.yaml:9:12: only: no kernel is called three/,
  ],
  [
    `${KERNELS}patches:\n  - name: fix\n    patched: b.o\n  - name: fix\n    patched: c.o\n`,
    /fleet\.yaml:9:11: fix is there twice in patches/,
  ],
  [
    `${KERNELS}patches:\n  - name: fix\n    files: a.patch\n`,
    /fleet\.yaml:7:5: fix has no patched, and kernel one has no source/,
  ],
  [
    `${KERNELS}patches:\n  - name: fix\n    patched: b.o\n    allow: [not-elf]\n`,
    /fleet\.yaml:9:13: allow: not-elf is no refusal that can be allowed/,
  ],
  [`${KERNELS}patches:\n  - name: fix\n    patched: b.o\n    except: ["*"]\n`, /no patch is for any of the kernels/],
  [
    'kernels:\n  - name: k\n    source: linux\n    btf: x\npatches:\n  - name: fix\n    files: a.patch\n',
    /fleet\.yaml:4:10: k: btf is for kernels of saved objects/,
  ],
  ['kernels:\n  - name: k\n    name: l\n', /fleet\.yaml:3:5: Map keys must be unique/],
  [
    'a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\nkernels: [*d,*d,*d,*d,*d,*d,*d,*d]\n',
    /alias/,
  ],
])('%j is answered with where and what', async (text, expected) => {
  expect(await complaint(text)).toMatch(expected);
});

test('all complaints are told at once', async () => {
  const said = await complaint(
    'kernels:\n  - name: 1\n    orig: 2\n  - nam: x\npatches:\n  - name: p\n    strip: 11\n',
  );
  for (const place of ['2:11', '3:11', '4:5', '7:12']) expect(said).toContain(`fleet.yaml:${place}`);
});

test('defaults, only, except and names in paths make the cells that are meant', async () => {
  const { cells, kernels } = await read(
    [
      'defaults:',
      '  kernel: { symvers: common.symvers }',
      '  patch: { patched: "out/{kernel}/fix.o", allow: [changed-type] }',
      'kernels:',
      '  - { name: debian-6.1, orig: a.o }',
      '  - { name: debian-6.12, orig: b.o, symvers: own }',
      '  - { name: suse-6.4, orig: c.o }',
      'patches:',
      '  - name: all',
      '  - { name: some, only: [debian-*], except: ["*6.12"] }',
      '',
    ].join('\n'),
  );
  expect(cells.map(({ kernel, patch }) => `${kernel.name} ${patch.name}`)).toEqual([
    'debian-6.1 all',
    'debian-6.1 some',
    'debian-6.12 all',
    'suse-6.4 all',
  ]);
  const [, second] = kernels as SavedKernel[];
  expect((kernels as SavedKernel[]).map(({ facts }) => facts.symvers)).toEqual(
    ['common.symvers', 'own', 'common.symvers'].map((name) => join(folder, name)),
  );
  expect(pairOf(second!, cells[2]!.patch)).toEqual({
    orig: join(folder, 'b.o'),
    patched: join(folder, 'out/debian-6.12/fix.o'),
  });
  expect(cells[1]!.patch.allow).toEqual(['changed-type']);
});
