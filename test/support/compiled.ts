import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder } from './temp-folder';

const folder = tempFolder();
let serial = 0;

/** What kernels are compiled with for x86-64, before objtool. */
const KERNEL = [
  '-O2',
  '-ffreestanding',
  '-ffunction-sections',
  '-fdata-sections',
  '-fcf-protection=branch',
  '-mcmodel=kernel',
  '-fno-pic',
  '-fno-asynchronous-unwind-tables',
  '-fno-strict-aliasing',
  '-fno-common',
  '-fno-stack-protector',
  '-mno-red-zone',
  '-mno-sse',
  '-falign-functions=16',
  '-w',
  '-pg',
  '-mfentry',
  '-fno-jump-tables',
];

/** The compilers that are here, of those that kernels are built with on x86-64. */
export const COMPILERS = ['gcc', 'clang-19', 'clang-22'].filter((name) => {
  const { error, stdout } = spawnSync(name, ['-dumpmachine'], { encoding: 'utf8' });
  return error === undefined && stdout.startsWith('x86_64');
});

/** An object compiled from one source, by a name that is the same in every build; flags come behind the usual ones. */
export function compiled(compiler: string, source: string, ...flags: string[]): Buffer {
  const own = compiler === 'gcc' ? ['-mrecord-mcount', '-fno-pie'] : [];
  const cwd = join(folder, `${serial++}`);
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'unit.c'), source);
  execFileSync(compiler, [...KERNEL, ...own, ...flags, '-c', 'unit.c', '-o', 'unit.o'], {
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return readFileSync(join(cwd, 'unit.o'));
}
