/** What people type who have not read the help: each of these ended in "not found", or did something else in silence. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { diagnostic } from '../../src/diagnostics';
import { machineName } from '../../src/elf/machines';
import { renderDiagnostics } from '../../src/report/text';
import { writePair } from '../../src/synth';
import { MAIN, running } from '../support/run-klpflow';
import { livepatchModule } from '../support/livepatch-module';
import { smallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const typed = async (...argv: string[]) => {
  const { status, stdout, stderr } = await running(argv);
  return { status, text: stdout + stderr };
};

test.each([[['diff', '-h']], [['help', 'diff']], [['diff', '--help']]])('%j is the help of diff', async (argv) => {
  const { status, text } = await typed(...argv);
  expect(status).toBe(0);
  expect(text).toMatch(/klpflow diff ORIG PATCHED/);
});

test.each(['version', '-v', '--version'])('%s tells the version', async (word) => {
  expect(await typed(word)).toEqual({ status: 0, text: expect.stringMatching(/^klpflow\/\d/) });
});

test.each([['status'], ['explain', 'changed-data'], ['doctor'], ['diff', 'a.o']])(
  '%s takes no argument from standard input',
  (...argv) => {
    // In a loop over the lines of a file the next one became ORIG.
    const run = (input: string): string => {
      const env = { ...process.env, KLPFLOW_CACHE_DIR: join(folder, 'cache') };
      const { stdout, stderr } = spawnSync(process.execPath, [MAIN, ...argv], { input, encoding: 'utf8', env });
      return `${stdout}${stderr}`.replace(/[\d.]+ GiB/g, '');
    };
    expect(run('orig.o\n')).toBe(run(''));
  },
);

test('a word that is nearly a command, or a flag, is answered with it', async () => {
  expect((await typed('difff', 'a', 'b')).text).toMatch(/klpflow diff/);
  expect((await typed('diff', 'a', 'b', '--alow', 'x')).text).toContain('did you mean --allow?');
  expect((await typed('diff', 'a', 'b', '--frobnicate')).text).not.toContain('did you mean');
});

test.each(['a.zip', 'x.KO'])('-o %s writes no object that nobody asked for', async (name) => {
  const { status, text } = await typed('diff', 'a', 'b', '-o', join(folder, name));
  expect(status).toBe(1);
  expect(text).toMatch(/error usage: .*FILE\.ko is a finished module/);
});

test('a thin archive is called one', async () => {
  const path = join(folder, 'vmlinux.a');
  writeFileSync(path, '!<thin>\n/               0           0     0     0       0         `\n');
  const { text } = await typed('diff', path, path, '--run-dir', join(folder, 'run'), '--progress', 'none');
  expect(text).toContain('is a thin archive');
});

test('processors have names', () => {
  expect([62, 183, 22, 9999].map(machineName)).toEqual(['x86-64', 'aarch64', 's390x', 'ELF machine 9999']);
});

test('all files that are missing are told in one run', async () => {
  const { text } = await typed('diff', 'no-a.o', 'no-b.o', '--symvers', 'no-symvers', '--vmlinux', 'no-vmlinuz');
  expect(text).toMatch(/error unreadable: cannot read no-a\.o, no-b\.o, no-symvers, no-vmlinuz: no such files/);
  expect((await typed('verify', 'no.ko', '--btf', 'no.btf')).text).toContain('cannot read no.ko, no.btf:');
});

test('what is allowed and not met is told: a misspelt symbol is no consent', async () => {
  const { orig, patched } = await smallPair(join(folder, 'pair'));
  const { status, text } = await typed(
    ...[
      'diff',
      orig,
      patched,
      '--allow',
      'sealed-endbr:no_such_function',
      '--progress',
      'none',
      '--run-dir',
      join(folder, 'run'),
    ],
  );
  expect(status).toBe(0);
  expect(text).toContain('note unused-allow: --allow sealed-endbr:no_such_function: nothing of this code and symbol');
});

test('a declaration that nothing needs is told', async () => {
  const { orig, patched } = await smallPair(join(folder, 'pair'));
  const run = ['--progress', 'none', '--run-dir', join(folder, 'run')];
  const { stdout } = await running(['diff', orig, patched, '--json', ...run]);
  const [{ name }] = JSON.parse(stdout).objects[0].functions.changed;
  const { text } = await typed('diff', orig, patched, '--twin', `${name}=${name}`, ...run);
  expect(text).toContain(`note unused-twin: --twin ${name}=${name}: evidence pairs these two by itself`);
});

test('a livepatch in the place of an object is called one', async () => {
  const { patched } = await smallPair(join(folder, 'pair'));
  const livepatch = join(folder, 'fix.ko');
  writeFileSync(livepatch, livepatchModule().module.bytes());
  const { status, text } = await typed(
    'diff',
    livepatch,
    patched,
    '--progress',
    'none',
    '--run-dir',
    join(folder, 'run'),
  );
  expect([status, text]).toEqual([
    1,
    expect.stringMatching(/error finished-livepatch: \S+fix\.ko is a finished livepatch/),
  ]);
});

test('verify of an object of a build says so, before it reads any of it', async () => {
  const { patched } = await smallPair(join(folder, 'pair'));
  const { status, text } = await typed('verify', patched);
  expect([status, text]).toEqual([1, expect.stringMatching(/error not-a-livepatch: .* is an object of a build/)]);
});

test('two kernels are told in a few lines, soon', async () => {
  // Each function without a counterpart took a pass over all relas: of two whole kernels this did not end within ten minutes.
  const at = (name: string): string => join(folder, name);
  for (const seed of [1, 2])
    await writePair({ functions: 1500, seed, changes: {} }, at(`kernel-${seed}.o`), at('unused.o'));
  const run = ['--progress', 'none', '--run-dir', at('run')];
  const { status, stdout } = await running(['diff', at('kernel-1.o'), at('kernel-2.o'), ...run]);
  expect(status).toBe(2);
  expect(stdout).toMatch(/^REFUSED {2}vmlinux\n\nrefused, 1 reason:\n {2}not-one-kernel: of \d+ functions of ORIG /);
  expect(stdout.split('\n').length).toBeLessThan(15);
});

test('many reasons of one code have one remedy, and end in a count', () => {
  const found = Array.from({ length: 60 }, (_, i) =>
    diagnostic(i % 2 === 0 ? 'changed-data' : 'init-change', `reason ${i}`),
  );
  const lines = renderDiagnostics(found);
  expect(lines.filter((line) => line.includes('reason '))).toHaveLength(60);
  const many = renderDiagnostics(Array.from({ length: 500 }, (_, i) => diagnostic('changed-data', `reason ${i}`)));
  expect(many.length).toBeLessThan(60);
  expect(many).toContain('  ... and 460 more of changed-data (--json lists all)');
  expect(lines.filter((line) => line.startsWith('      '))).toHaveLength(2);
});

test('a code that is misspelt is answered with the nearest', async () => {
  expect((await typed('explain', 'chnged-data')).text).toContain(
    "chnged-data is no diagnostic's code, which changed-data is",
  );
});
