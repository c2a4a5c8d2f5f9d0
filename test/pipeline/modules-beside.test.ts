/**
 * One livepatch of vmlinux and a module where the patch puts a variable into vmlinux that the module uses, in compiled objects. Bound to nothing, the
 * module would not load; bound to a copy of its own, each side would count by itself.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
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
  put('patched/unused.o', kernel('int shared_count = 7;', 1));
  writeFileSync(at('symvers'), `${SYMVERS}0xaaaaaaaa\t__fentry__\tvmlinux\tEXPORT_SYMBOL\t\n`);
  templateOf(folder);
});

function livepatch(patched: string, out: string): Promise<Ran> {
  return running([
    'diff',
    at('orig/vmlinux.o'),
    at(patched),
    '--also',
    `${at('orig/net/my-mod.o')}=${at('patched/net/my-mod.o')}`,
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

  test('and nothing else does is refused by name, and nothing is written', async () => {
    const ran = await livepatch('patched/unused.o', 'none.ko');
    expect(ran.status).toBe(2);
    expect(resultOf(ran).diagnostics.filter(({ severity }) => severity === 'refusal')).toEqual([
      expect.objectContaining({ code: 'not-exported', where: expect.objectContaining({ symbol: 'shared_count' }) }),
    ]);
  });
});
