/** The linker that keeps what ThinLTO compiles: found by make's variables, and called with its cache without a word of any command changed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cachingLinker, linkerOf, takenIn } from '../../src/kbuild/link-cache';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

test.for([
  [['LLVM=-19', 'KCFLAGS=-O2'], 'ld.lld-19'],
  [['LLVM=1'], 'ld.lld'],
  [['LLVM=-19', 'LD=ld.lld-22'], 'ld.lld-22'],
  // By a path it is called past PATH.
  [['LLVM=/opt/llvm/bin/'], undefined],
  [['LD=/opt/ld.lld'], undefined],
  [['LD=ccache ld.lld'], undefined],
  [['CC=gcc-12'], undefined],
] as const)('of %j it is %s', ([variables, linker]) => {
  expect(linkerOf(variables)).toBe(linker);
});

test('what one link compiled the next one finds, and the object is the same', (context) => {
  for (const program of ['clang-19', 'ld.lld-19'])
    if (spawnSync(program, ['--version']).error !== undefined) context.skip(`there is no ${program} here`);
  const cache = join(folder, "it's kept");
  const taken = 'data.bin';
  const path = cachingLinker('ld.lld-19', join(folder, 'bin'), cache, [taken, 'generated later'])!;
  const compile = (name: string, text: string): void => {
    writeFileSync(join(folder, `${name}.c`), text);
    execFileSync('clang-19', ['-flto=thin', '-O2', '-c', `${name}.c`, '-o', `${name}.o`], { cwd: folder });
  };
  const link = (out: string, env: string): Buffer =>
    execFileSync('sh', ['-c', `ld.lld-19 -r -o ${out} a.o b.o && cat ${out}`], {
      cwd: folder,
      env: { ...process.env, PATH: env },
    });
  const kept = (): string[] =>
    (readdirSync(cache, { recursive: true }) as string[]).filter((name) => name.includes('llvmcache-'));
  writeFileSync(join(folder, taken), 'old');
  compile('a', `int a(int x) { return x * 3; } asm(".data; .incbin \\"${taken}\\"");`);
  compile('b', 'int b(int x) { return x + 7; }');
  const plain = link('plain.o', process.env['PATH']!);
  expect(link('first.o', path).equals(plain)).toBe(true);
  const first = kept();
  expect(first).toHaveLength(2);
  expect(link('second.o', path).equals(plain)).toBe(true);
  expect(kept().sort()).toEqual(first.sort());
  compile('b', 'int b(int x) { return x + 8; }');
  expect(link('third.o', path).equals(plain)).toBe(false);
  expect(kept()).toHaveLength(3);
  // Of what a unit takes in the linker knows nothing: the object would have the old bytes.
  writeFileSync(join(folder, taken), 'new');
  const text = link('fourth.o', path).toString('latin1');
  expect([text.includes('old'), text.includes('new')]).toEqual([false, true]);
});

test('a linker that is not there keeps nothing', () => {
  mkdirSync(join(folder, 'none'), { recursive: true });
  expect(cachingLinker('ld.lld-none', join(folder, 'none'), folder, [])).toBeUndefined();
  expect(readdirSync(join(folder, 'none'))).toEqual([]);
});

test('what C files take in is named, or nothing is kept', () => {
  expect(takenIn('"\t.incbin \\"kernel/config_data.gz\\"\t\n"\n printf(".incbin \\"%s\\"");')).toEqual([
    'kernel/config_data.gz',
    '%s',
  ]);
  expect(takenIn('asm(".incbin " STRING(FILE));')).toBeUndefined();
  expect(takenIn('')).toEqual([]);
});
