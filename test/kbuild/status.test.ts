/**
 * `klpflow status` of builds. What this guards against: a person who waits for a build that is dead, looks for a log in a folder of digests, or reads the complaints of
 * every make above the one that failed.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { endOf, lastLines } from '../../src/kbuild/build-log';
import { startOf } from '../../src/kbuild/command';
import type { StatusResult } from '../../src/index';
import { running, type Ran } from '../support/run-klpflow';
import { RELEASE, patchOf, smallKernel, type SmallKernel } from '../support/small-kernel';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const runs = join(folder, 'runs');
let kernel: SmallKernel;

beforeAll(() => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const name of ['bc', 'bison', 'flex']) writeFileSync(join(bin, name), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`);
  kernel = smallKernel(folder);
});

function build(name: string, from: string, to: string, options: Parameters<typeof running>[1] = {}): Promise<Ran> {
  const patch = join(folder, `${name}.patch`);
  writeFileSync(patch, patchOf(kernel.source, 'fs/answer.c', from, to));
  const words = ['--source', kernel.source, '--root', kernel.root, '--run-dir', runs, '--allow', 'build-compiler'];
  return running(['build', patch, ...words, '-o', join(folder, 'out.ko'), '--progress', 'json'], options);
}

type Tree = StatusResult['builds'][number];

async function tree(): Promise<Tree> {
  const { status, stdout, stderr } = await running(['status', '--run-dir', runs, '--json']);
  expect(status, stderr).toBe(0);
  const { builds, inputs } = JSON.parse(stdout) as StatusResult;
  expect({ inputs, trees: builds.length }).toEqual({ inputs: [], trees: 1 });
  return builds[0]!;
}

const states = ({ stages }: Tree): string[] => stages.map(({ name, state }) => `${name} ${state}`);

test('before any build there is none', async () => {
  const { status, stdout } = await running(['status', '--run-dir', runs]);
  expect([status, stdout]).toEqual([0, expect.stringMatching(/does not exist yet.*\nno builds\n$/)]);
});

test('each stage has its log, and how it ended', async () => {
  await build('fix', 'n * 3', 'n * 4');
  const built = await tree();
  expect(built).toMatchObject({ prepared: true, process: null });
  expect(built.about).toMatchObject({ source: kernel.source, release: RELEASE, scope: 'units' });
  expect(states(built)).toEqual(
    expect.arrayContaining([
      'unpack done',
      'configure done',
      'prepare done',
      'list-fs done',
      'compile-fs-answer.o done',
    ]),
  );
  expect(states(built).indexOf('configure done')).toBeLessThan(states(built).indexOf('prepare done'));
  for (const { log, seconds } of built.stages) {
    expect(readFileSync(log, 'utf8')).toMatch(/^\$ (?:.*\n)*= exit code 0 after \d+\.\d\d s\n$/);
    expect(seconds).toBeLessThan(60);
  }
  const { stdout } = await running(['status', '--run-dir', runs]);
  expect(stdout).toContain(`${RELEASE} of ${kernel.source}, scope units`);
  expect(stdout).toMatch(/^ {2}done +\d+\.\d\d s {2}prepare {2}\/.*\/logs\/prepare\.log$/m);
});

test('one that failed, and one that was killed with its run', async () => {
  await build('wrong', 'n * 3', 'm * 3');
  const failed = (await tree()).stages.find(({ state }) => state === 'failed')!;
  expect(failed.name).toBe('compile-fs-answer.o');
  expect(readFileSync(failed.log, 'utf8')).toContain("'m' undeclared");

  rmSync(runs, { recursive: true });
  const ran = await build('fix', 'n * 3', 'n * 4', {
    onLine: (line, child) => void (line.includes('preparing') && setTimeout(() => child.kill('SIGKILL'), 50)),
  });
  expect(ran.signal).toBe('SIGKILL');
  const killed = await tree();
  expect(states(killed).at(-1)).toBe('prepare stopped');
  expect(killed).toMatchObject({ prepared: false, process: null });
  expect(endOf(killed.stages.at(-1)!.log)).toBeUndefined();

  // The same folder, in which a process works: this one.
  const lock = join(killed.folder, 'lock');
  writeFileSync(lock, JSON.stringify({ pid: process.pid, start: startOf(process.pid) }));
  const working = await tree();
  expect([states(working).at(-1), working.process]).toEqual(['prepare at work', process.pid]);
  // A number that is used again is another process.
  writeFileSync(lock, JSON.stringify({ pid: process.pid, start: '1' }));
  expect((await tree()).process).toBeNull();
  expect(existsSync(lock)).toBe(true);
});

test('of what a make says that fails, the lines that tell why', () => {
  const said = [
    'fs/pipe.c: In function ‘pipe_read’:',
    "fs/pipe.c:12:9: error: 'm' undeclared (first use in this function)",
    'make[4]: *** [scripts/Makefile.build:229: fs/pipe.o] Error 1',
    'make[4]: *** Waiting for unfinished jobs....',
    'make[3]: *** [scripts/Makefile.build:478: fs] Error 2',
    'make[2]: *** [/tmp/tree/Makefile:1936: .] Error 2',
    "make[1]: Leaving directory '/tmp/tree'",
    'make: *** [Makefile:234: __sub-make] Error 2',
    '',
  ].join('\n');
  expect(lastLines(said, 2)).toEqual(said.split('\n').slice(0, 2));
  // Where they are all that it says, they are all there is to show.
  const none = "make: *** No rule to make target 'vmlinux_o'.  Stop.\n";
  expect(lastLines(none, 8)).toEqual([none.trimEnd()]);
  expect(lastLines('make: *** [Makefile:7: all] Error 1\n', 8)).toEqual(['make: *** [Makefile:7: all] Error 1']);
});
