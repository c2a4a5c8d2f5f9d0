/** What doctor says of an object that lacks something: who reads it goes on with the wrong file else, and learns it after an hour. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeObject, type ObjectDescription } from '../src/pipeline/describe-object';
import { COMPILERS, compiled } from './support/compiled';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();
const SOURCE = 'int work(int a) { return a + 3; }\nint (*start)(int) = work;';
const KERNELS_FILES = /^for a livepatch the running kernel's files/;

function described(name: string, object: Uint8Array): ObjectDescription {
  const path = join(folder, name);
  writeFileSync(path, object);
  return describeObject(path);
}

test.skipIf(COMPILERS.length === 0)('a unit without objtool where functions begin with ENDBR', () => {
  const [compiler = 'gcc'] = COMPILERS;
  const early = described('early.o', compiled(compiler, SOURCE));
  expect(early).toMatchObject({ kind: 'unit', ibt: true });
  expect(early.missing[0]).toContain('objtool has not run on it');
  expect(early.can.join()).not.toContain('finished module');
  const plain = described('plain.o', compiled(compiler, SOURCE, '-fcf-protection=none'));
  expect(plain).toMatchObject({ kind: 'unit', ibt: false, missing: [expect.stringMatching(KERNELS_FILES)] });
  expect(plain.can).toContain('become a finished module (-o FILE.ko)');
});

test.skipIf(!COMPILERS.includes('clang-22'))('a unit with kCFI that shows no type of init and exit functions', () => {
  const cfi = ['-fsanitize=kcfi', '-fcf-protection=none'];
  const silent = described('silent.o', compiled('clang-22', SOURCE, ...cfi));
  expect(silent.cfi).toContain('kCFI');
  expect(silent.missing[0]).toContain('a module needs vmlinux.o beside it');
  expect(silent.can.join()).not.toContain('finished module');
  // A module's own two functions have the types.
  const both =
    'int init_module(void) { return 0; }\nvoid cleanup_module(void) { }\nint (*in)(void) = init_module; void (*out)(void) = cleanup_module;';
  const shows = described('shows.o', compiled('clang-22', `${SOURCE}\n${both}`, ...cfi));
  expect(shows.missing).toEqual([expect.stringMatching(KERNELS_FILES)]);
  expect(shows.can).toContain('become a finished module (-o FILE.ko)');
});

test.skipIf(COMPILERS.length === 0)('an object of a processor for which no module is written', () => {
  const [compiler = 'gcc'] = COMPILERS;
  const object = Buffer.from(compiled(compiler, SOURCE));
  const EM_RISCV = 243;
  object.writeUInt16LE(EM_RISCV, 18);
  let found: ObjectDescription;
  try {
    found = described('riscv.o', object);
  } catch (error) {
    expect(String(error)).toMatch(/RISC-V|243/);
    return;
  }
  expect(found.missing).toEqual([expect.stringContaining('formats klp and ko are written for')]);
});
