/**
 * One livepatch of vmlinux and a module where the patch puts a variable into vmlinux that the module uses, in compiled objects. Bound to nothing, the
 * module would not load; bound to a copy of its own, each side would count by itself.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { COMPILERS, compiled } from '../support/compiled';
import { ModuleFile } from '../support/module-file';
import { resultOf, running, type Ran } from '../support/run-klpflow';
import { SYMVERS, templateOf } from '../support/target-kernel';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (...path: string[]): string => join(folder, ...path);
const [COMPILER] = COMPILERS;
beforeEach((context) => context.skip(COMPILER === undefined, 'no compiler here'));

const INFO = (text: string): string =>
  `static const char info[] __attribute__((section(".modinfo"), used)) = "${text}";`;
const kernel = (shared: string, value: number, use = ''): string =>
  `${shared} int version_show(int m) { ${use} return m + ${value}; } int other(int a) { return a; }`;
const module = (shared: string, use: string): string =>
  `${INFO('license=GPL')} ${shared} int work(int a) { ${use} return a * 3; }`;

function put(path: string, source: string): void {
  mkdirSync(join(at(path), '..'), { recursive: true });
  writeFileSync(at(path), compiled(COMPILER!, source, '-fcf-protection=none'));
}

beforeAll(() => {
  if (COMPILER === undefined) return;
  put('orig/vmlinux.o', kernel('', 1));
  put('orig/net/my-mod.o', module('', ''));
  put('patched/net/my-mod.o', module('extern int shared_count;', 'shared_count += a;'));
  put('patched/vmlinux.o', kernel('int shared_count = 7;', 1, 'shared_count++;'));
  put('patched/unused.o', kernel('int second = 5; int *shared_list = &second;', 1));
  put('list/net/my-mod.o', module('extern int *shared_list;', 'a += *shared_list;'));
  mkdirSync(at('again'));
  put('patched/without.o', kernel('static int own = 7;', 1, 'own++;'));
  writeFileSync(at('symvers'), `${SYMVERS}0xaaaaaaaa\t__fentry__\tvmlinux\tEXPORT_SYMBOL\t\n`);
  templateOf(folder);
});

function livepatch(patched: string, out: string, changed = 'patched/net/my-mod.o'): Promise<Ran> {
  return running([
    'diff',
    at('orig/vmlinux.o'),
    at(patched),
    '--also',
    `${at('orig/net/my-mod.o')}=${at(changed)}`,
    '-o',
    at(out),
    '--symvers',
    at('symvers'),
    '--template',
    at('template.ko'),
    '--run-dir',
    at('run'),
    '--json',
    '--progress',
    'none',
  ]);
}

describe('a new variable of vmlinux that a module uses', () => {
  test('is one variable for both', async () => {
    const ran = await livepatch('patched/vmlinux.o', 'both.ko');
    const { verdict, objects } = resultOf(ran);
    expect(verdict, ran.stdout).toBe('patchable');
    expect(objects.map(({ name, functions }) => [name, functions.changed.map((entry) => entry.name)])).toEqual([
      ['vmlinux', ['version_show']],
      ['my_mod', ['work']],
    ]);
    const written = new ModuleFile(at('both.ko'));
    const uses = written.relas('.text').filter((line) => line.includes('shared_count'));
    expect(uses.length).toBeGreaterThan(1);
    // Each side refers to the one definition, which stands in the livepatch itself.
    expect(written.symbols.get('shared_count')).toMatchObject({
      size: 4,
      bind: 'GLOBAL',
      index: expect.stringMatching(/^\d+$/),
    });
    for (const section of written.relocationSections().filter((name) => name.startsWith('.klp.')))
      expect(written.relas(section).join('\n')).not.toContain('shared_count');
  });

  test('and nothing else does goes in by name, with what it points to', async () => {
    const ran = await livepatch('patched/unused.o', 'unused.ko', 'list/net/my-mod.o');
    const { verdict, objects } = resultOf(ran);
    expect(verdict, ran.stdout).toBe('patchable');
    // The premise: nothing of vmlinux itself would be in a livepatch.
    expect(objects.map(({ name, functions }) => [name, functions.changed.length])).toEqual([
      ['vmlinux', 0],
      ['my_mod', 1],
    ]);
    const written = new ModuleFile(at('unused.ko'));
    expect(written.symbols.get('second')).toMatchObject({ size: 4, index: expect.stringMatching(/^\d+$/) });
    expect(written.symbols.get('shared_list')).toMatchObject({ size: 8, index: expect.stringMatching(/^\d+$/) });
    // A pointer that nobody fills in is a crash at its first use.
    expect(written.relas('.data').join('\n')).toContain('second');
  });

  test('and no pair defines is refused by name, and nothing is written', async () => {
    const ran = await livepatch('patched/without.o', 'none.ko');
    expect(ran.status).toBe(2);
    expect(resultOf(ran).diagnostics.filter(({ severity }) => severity === 'refusal')).toEqual([
      expect.objectContaining({ code: 'not-exported', where: expect.objectContaining({ symbol: 'shared_count' }) }),
    ]);
  });

  test('is the same livepatch when it is read back', async () => {
    const made = (out: string): Promise<Ran> => livepatch('patched/unused.o', out, 'list/net/my-mod.o');
    const again = await made('again/unused.ko');
    expect(resultOf(again).run.stages.some(({ reused }) => reused > 0)).toBe(true);
    expect(readFileSync(at('again/unused.ko')).equals(readFileSync(at('unused.ko')))).toBe(true);
  });
});
