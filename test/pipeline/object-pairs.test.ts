/** One comparison of vmlinux and modules: which files of two folders are linked objects, what each is called, what cannot be said of several. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { DiffResult } from '../../src';
import { diff } from '../../src/pipeline/diff';
import type { DiffRequest } from '../../src/pipeline/diff-options';
import { code, hex, object, type ObjectBuilder } from '../support/elf-builder';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const [A, B] = [join(folder, 'orig'), join(folder, 'patched')];

/** A module to be written; the functions have no ftrace site, so it never comes to that. */
const MODULE = {
  path: join(folder, 'x.ko'),
  format: 'ko',
  symvers: join(folder, 'empty'),
  template: join(folder, 'empty'),
} as const;
writeFileSync(MODULE.symvers, '');

function kernel(value: string): ObjectBuilder {
  return object()
    .file('version.c')
    .padded('version', code(hex(`b8 ${value} 00 00 00 c3`)))
    .padded('other', code(hex('31 c0 c3')));
}

/** A module's object, which says that it is one. */
function module(value: string, info = 'license=GPL\0'): ObjectBuilder {
  return object()
    .file('mod.c')
    .section('.modinfo', { body: Buffer.from(info) })
    .padded('work', code(hex(`b8 ${value} 00 00 00 c3`)));
}

function put(root: string, files: Record<string, ObjectBuilder | string>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), typeof content === 'string' ? content : content.bytes());
  }
}

const run = (more: Partial<DiffRequest> = {}): Promise<DiffResult> =>
  diff({ orig: A, patched: B, runDir: join(folder, 'run'), workers: 1, ...more });

const changedIn = ({ objects }: DiffResult): Record<string, string[]> =>
  Object.fromEntries(objects.map(({ name, functions }) => [name, functions.changed.map((entry) => entry.name)]));

beforeEach(() => {
  for (const root of [A, B]) rmSync(root, { recursive: true, force: true });
});

describe('two folders of linked objects', () => {
  // A module's function under the name vmlinux is looked for in the wrong place, and found where another has its name.
  test('vmlinux.o and each module is an object of its own name', async () => {
    put(A, { 'vmlinux.o': kernel('01'), 'net/nf-tables.o': module('01'), 'same.o': module('07') });
    put(B, { 'vmlinux.o': kernel('02'), 'net/nf-tables.o': module('02'), 'same.o': module('07') });
    const result = await run();
    expect(changedIn(result)).toEqual({ vmlinux: ['version'], nf_tables: ['work'] });
    expect(result.verdict).not.toBe('unchanged');
  });

  test('nothing differs: the verdict says so', async () => {
    for (const root of [A, B]) put(root, { 'vmlinux.o': kernel('01'), 'same.o': module('07') });
    const { verdict, objects } = await run();
    expect({ verdict, objects }).toEqual({ verdict: 'unchanged', objects: [] });
  });

  test("kbuild's list decides which objects are modules", async () => {
    // The unit holds MODULE_LICENSE() and so looks like a module, too; nf.o is linked of it.
    for (const [root, value] of [
      [A, '01'],
      [B, '02'],
    ] as const)
      put(root, { 'modules.order': 'kernel/net/nf.ko\n', 'net/nf.o': module(value), 'net/nf_api.o': module(value) });
    const result = await run({ output: MODULE });
    expect(changedIn(result)).toEqual({ nf: ['work'] });
  });

  test('a module that only one folder has is told, and nothing is made of it', async () => {
    put(A, { 'vmlinux.o': kernel('01'), 'gone.o': module('01') });
    put(B, { 'vmlinux.o': kernel('02'), 'fresh.o': module('01') });
    const { diagnostics, verdict } = await run();
    expect(diagnostics.map(({ code: what, severity }) => `${what} ${severity}`)).toEqual(
      expect.arrayContaining(['unit-mismatch warning', 'added-unit refusal']),
    );
    expect(verdict).toBe('refused');
    expect(
      (await run({ allow: ['added-unit'] })).diagnostics.find((entry) => entry.code === 'added-unit')!.severity,
    ).toBe('warning');
  });

  // A module made of the modules alone would lack what changed in the kernel, and nobody would know.
  test('a unit that changed and belongs to no object that is there ends the run', async () => {
    for (const [root, value] of [
      [A, '01'],
      [B, '02'],
    ] as const)
      put(root, { 'mods/one.o': module(value), 'fs/proc.o': kernel(value) });
    await expect(run({ output: MODULE })).rejects.toMatchObject({ diagnostic: { code: 'usage' } });
    await expect(run({ output: MODULE })).rejects.toThrow(/fs\/proc\.o changed/);
    for (const root of [A, B]) put(root, { 'fs/proc.o': kernel('01') });
    expect(changedIn(await run({ output: MODULE }))).toEqual({ one: ['work'] });
  });

  test('folders of units are compared unit by unit, as ever', async () => {
    put(A, { 'a.o': kernel('01'), 'b.o': kernel('05') });
    put(B, { 'a.o': kernel('02'), 'b.o': kernel('05') });
    expect(changedIn(await run())).toEqual({ 'a.o': ['version'] });
  });
});

describe('lists of pairs', () => {
  const pair = (name: string) => ({ orig: join(A, name), patched: join(B, name) });

  test('each has the name of its file, or what its .modinfo says', async () => {
    put(A, {
      'vmlinux.o': kernel('01'),
      'my-mod.o': module('01'),
      'c.o': module('01', 'license=GPL\0name=real_name\0'),
    });
    put(B, {
      'vmlinux.o': kernel('02'),
      'my-mod.o': module('02'),
      'c.o': module('02', 'license=GPL\0name=real_name\0'),
    });
    const result = await run({ ...pair('vmlinux.o'), also: [pair('my-mod.o'), pair('c.o')] });
    expect(changedIn(result)).toEqual({ vmlinux: ['version'], my_mod: ['work'], real_name: ['work'] });
  });

  test('a file that is called like any is not named after that', async () => {
    put(A, { 'orig.o': module('01') });
    put(B, { 'orig.o': module('02') });
    expect((await run(pair('orig.o'))).diagnostics.map((entry) => entry.code)).toContain('nameless-module');
  });

  test('what cannot be said of several is refused', async () => {
    put(A, { 'one.o': module('01'), 'sub/one.o': module('03') });
    put(B, { 'one.o': module('02'), 'sub/one.o': module('04') });
    const several = { ...pair('one.o'), also: [pair('sub/one.o')] };
    await expect(run(several)).rejects.toThrow(/two pairs are of one/);
    await expect(run({ ...several, module: 'x' })).rejects.toThrow(/--module x: several objects/);
    await expect(run({ ...several, twins: [{ orig: 'f', patched: 'g' }] })).rejects.toThrow(/--twin f=g/);
    const output = { path: join(folder, 'x.o'), format: 'klp', symvers: join(folder, 'symvers') } as const;
    await expect(run({ ...several, output })).rejects.toThrow(/-o FILE\.ko makes a module of several/);
  });
});
