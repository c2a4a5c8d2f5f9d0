/** Wrappers in a tree that is as the kernel's: what is not klpflow's reaches the real program, and make builds nothing anew because of them. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const bin = join(folder, "it's bin");
const tree = join(folder, 'tree');
const TOOL = join(tree, 'tools/objtool/objtool');

const REAL = '#!/bin/sh\necho "real $*"\nexit 7\n';

/** A make that links objtool where it is older than its source, and a unit where objtool is newer. */
const MAKEFILE = `all: unit
tools/objtool/objtool: objtool.src
	cp $< $@; chmod +x $@
unit: tools/objtool/objtool
	echo compiled; touch $@
fail:
	exit 3
`;

async function written(): Promise<void> {
  const ran = await running(['wrappers', bin]);
  expect(ran.status, ran.stderr).toBe(0);
  mkdirSync(join(tree, 'tools/objtool'), { recursive: true });
  writeFileSync(join(tree, 'Makefile'), MAKEFILE);
  writeFileSync(join(tree, 'objtool.src'), REAL);
}

/** As klp-build calls programs. */
const run = (program: string, ...args: string[]) =>
  spawnSync(program, args, {
    cwd: tree,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
  });

test("make puts the wrapper in objtool's place, and compiles nothing anew for it", async () => {
  await written();
  expect(run('make', '-s')).toMatchObject({ status: 0, stdout: 'compiled\n' });
  expect(readFileSync(TOOL, 'utf8')).toContain('Written by klpflow wrappers');
  expect(readFileSync(`${TOOL}.real`, 'utf8')).toBe(REAL);
  expect(run('make', '-s')).toMatchObject({ status: 0, stdout: '' });
  // The kernel's make links another one: that becomes the real one, and nothing is called twice over.
  const later = new Date(Date.now() + 5000);
  utimesSync(join(tree, 'objtool.src'), later, later);
  expect(run('make', '-s').stdout).toBe('compiled\n');
  expect(readFileSync(TOOL, 'utf8')).toContain('Written by klpflow wrappers');
  expect(statSync(TOOL).mtimeMs).toBe(statSync(`${TOOL}.real`).mtimeMs);
  expect(run('make', '-s', 'fail').status).toBe(2);
});

test("klp commands are klpflow's, all else with its exit code objtool's", async () => {
  await written();
  run('make', '-s');
  expect(run(TOOL, '--orc', 'a b.o')).toMatchObject({ status: 7, stdout: 'real --orc a b.o\n' });
  for (const args of [['checksum'], ['diff', 'absent.o', 'out.o'], ['post-link']]) {
    const { status, stderr } = run(TOOL, 'klp', args[0]!, 'absent.o', ...args.slice(1));
    expect(stderr, args[0]).toMatch(/^absent\.o: error: objtool: .*absent\.o/m);
    expect([1, 255]).toContain(status);
  }
  // klp-build looks for these words to see whether objtool was built with klp commands.
  expect(run(TOOL, 'klp').stdout + run(TOOL, 'klp').stderr).not.toContain('not implemented');
});

test("kpatch's programs are klpflow's; those that were there are kept, once", async () => {
  const programs = join(folder, 'kpatch');
  mkdirSync(programs);
  writeFileSync(join(programs, 'create-diff-object'), REAL, { mode: 0o755 });
  await running(['wrappers', programs]);
  const again = await running(['wrappers', programs, '--json']);
  expect(JSON.parse(again.stdout)).toMatchObject({
    wrappers: [
      { program: 'objtool', kept: null },
      { program: 'create-diff-object', kept: join(programs, 'create-diff-object.real') },
      { program: 'create-klp-module', kept: null },
      { program: 'make', kept: null },
    ],
  });
  expect(readFileSync(join(programs, 'create-diff-object.real'), 'utf8')).toBe(REAL);
  // Its own code for a wrong command line.
  expect(run(join(programs, 'create-diff-object'), 'too', 'few')).toMatchObject({ status: 64 });
  expect(run(join(programs, 'create-klp-module'), 'one').stderr).toContain('INPUT.ko OUTPUT.ko');
});
