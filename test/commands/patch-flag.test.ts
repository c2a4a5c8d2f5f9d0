/**
 * `--patch`: which hunk caused which change, and which changes no hunk explains. The silent failures: a hunk of another file of the same name, a tie that only names make told as if lines did,
 * and a change that came from elsewhere counted as the patch's.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';
import { parsed } from '../../src/patch/read';
import { hunksOf } from '../../src/patch/hunks';
import { tiesOf } from '../../src/patch/ties';
import type { DiffResult, Explained } from '../../src';

const folder = tempFolder();
const HEADER = `static inline __attribute__((always_inline)) int scaled(int n)
{
	n ^= 5;
	return n * 3;
}
`;
const UNIT = `#include "scale.h"
#define LIMIT 717
int limit = 717;
volatile int seen;

int inlines(int n)
{
	seen++;
	return scaled(n);
}

int other(int n)
{
	seen--;
	return n;
}

int by_macro(int n)
{
	return n > LIMIT ? seen : n;
}

int elsewhere(int n)
{
	seen += n;
	return n;
}

int direct(int n)
{
	seen = n;
	return n + 1;
}
`;

/** The two trees, their patch as git writes it, and objects of both. `stray` is a change that the patch does not have. */
function built(name: string, compiler: string, flags: string[]): { orig: string; patched: string; patch: string } {
  const at = join(folder, name);
  const tree = (side: string, header: string, unit: string): string => {
    const root = join(at, side);
    mkdirSync(join(root, 'fs'), { recursive: true });
    writeFileSync(join(root, 'fs/scale.h'), header);
    writeFileSync(join(root, 'fs/unit.c'), unit);
    return root;
  };
  const patchedUnit = UNIT.replace('return n + 1', 'return n + 7')
    .replace('LIMIT 717', 'LIMIT 718')
    .replace('limit = 717', 'limit = 718');
  tree('a', HEADER, UNIT);
  tree('b', HEADER.replace('n * 3', 'n * 5').replace('{', '{\n\t/* five */'), patchedUnit);
  const { stdout } = spawnSync('git', ['diff', '--no-index', '--no-prefix', 'a', 'b'], { cwd: at, encoding: 'utf8' });
  const patch = join(at, 'fix.patch');
  writeFileSync(patch, stdout);
  writeFileSync(join(at, 'b/fs/unit.c'), patchedUnit.replace('seen += n', 'seen += n + 2'));
  const object = (root: string): string => {
    const output = join(at, root, 'unit.o');
    execFileSync(
      compiler,
      [
        '-O2',
        '-fcf-protection=branch',
        '-pg',
        '-mfentry',
        '-mrecord-mcount',
        '-fno-pie',
        '-ffunction-sections',
        '-fdata-sections',
        ...flags,
        '-c',
        'fs/unit.c',
        '-o',
        output,
      ].filter((flag) => compiler === 'gcc' || flag !== '-mrecord-mcount'),
      { cwd: join(at, root) },
    );
    return output;
  };
  return { orig: object('a'), patched: object('b'), patch };
}

async function ties(words: string[]): Promise<DiffResult> {
  const { stdout } = await running(['diff', ...words, '--json', '--run-dir', join(folder, 'runs')]);
  return JSON.parse(stdout) as DiffResult;
}

const shown = ({ patch }: DiffResult): Record<string, string[]> =>
  Object.fromEntries(
    patch!.symbols.map(({ name, hunks }) => [name, hunks.map(({ file, line, by }) => `${file}:${line} ${by}`)]),
  );
const missing = ['gcc', 'addr2line', 'git'].filter((name) => spawnSync(name, ['--version']).error !== undefined);
const compilers = ['gcc', 'clang-19'].filter((name) => spawnSync(name, ['--version']).error === undefined);

test.each(compilers)(
  '%s with debug information: by lines, through inlining; what only names tell is told as such',
  async (compiler) => {
    if (missing.length > 0) return;
    const { orig, patched, patch } = built(`lines-${compiler}`, compiler, ['-g']);
    // The premise: the patch's two files, and no word of what was changed besides.
    expect(readFileSync(patch, 'utf8')).toMatch(/^\+\+\+ b\/fs\/scale\.h$[^]*^\+\+\+ b\/fs\/unit\.c$/m);
    expect(readFileSync(patch, 'utf8')).not.toContain('seen += n + 2');
    const result = await ties([orig, patched, '--patch', patch]);
    expect(result.patch!.evidence).toBe('lines');
    expect(shown(result)).toEqual({
      inlines: ['fs/scale.h:3 line'],
      direct: ['fs/unit.c:32 line'],
      // A macro's users are of lines of their own.
      by_macro: [],
      elsewhere: [],
      limit: ['fs/unit.c:2 name'],
    });
    const warned = result.diagnostics.filter(({ code }) => code === 'unexplained-change');
    expect(warned.map(({ message }) => message)).toEqual([
      expect.stringMatching(/explains by_macro, elsewhere \(2 of 5/),
    ]);

    const words = [orig, patched, '--patch', patch, '--run-dir', join(folder, 'runs')];
    const text = (await running(['diff', ...words])).stdout;
    expect(text).toMatch(/direct {2}\([^]*? patch: fs\/unit\.c:32 \(1 instruction is of its lines\)/);
    expect(text).toMatch(/elsewhere {2}\([^]*? patch: no hunk explains it/);
    const explained = JSON.parse(
      (await running(['explain', ...words.slice(0, 2), 'inlines', ...words.slice(2), '--json'])).stdout,
    ) as Explained;
    expect(explained.hunks).toMatchObject([{ file: 'fs/scale.h', line: 3, by: 'line' }]);
    expect((await running(['explain', ...words.slice(0, 2), 'elsewhere', ...words.slice(2)])).stdout).toContain(
      'patch: no hunk explains it',
    );
    const page = join(folder, 'report.html');
    await running(['report', ...words, '-o', page]);
    expect(readFileSync(page, 'utf8')).toMatch(/id="patch"[^]*fs\/scale\.h:3[^]*no hunk explains it/);
  },
);

test('without debug information: by names, and that is said', async () => {
  if (missing.length > 0) return;
  const { orig, patched, patch } = built('names', 'gcc', []);
  const result = await ties([orig, patched, '--patch', patch]);
  expect(result.patch!.evidence).toBe('names');
  expect(shown(result)).toEqual({
    inlines: [],
    direct: ['fs/unit.c:32 name'],
    by_macro: [],
    elsewhere: [],
    limit: ['fs/unit.c:2 name'],
  });
  expect(result.patch!.idle).toEqual([{ file: 'fs/scale.h', line: 3 }]);
  expect((await running(['diff', orig, patched, '--patch', patch, '--run-dir', join(folder, 'runs')])).stdout).toMatch(
    /2 of 5 changes tied to hunks, by names alone[^]*nothing comes of 1 hunk: fs\/scale\.h:3/,
  );
});

test('a patch that is none, or is not there, ends the run before any work', async () => {
  if (missing.length > 0) return;
  const { orig, patched } = built('none', 'gcc', []);
  const text = join(folder, 'text');
  writeFileSync(text, 'no patch\n');
  expect(await running(['diff', orig, patched, '--patch', text])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('patch-empty'),
  });
  expect(await running(['diff', orig, patched, '--patch', join(folder, 'absent')])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('unreadable'),
  });
});

test('names of hunks: by heading, by what begins within, of system calls, tables and statics', () => {
  const of = (...hunks: string[]): string[][] =>
    parsed(`--- a/x.c\n+++ b/x.c\n${hunks.join('')}`, 'x.patch')
      .files.flatMap(hunksOf)
      .map(({ names }) => [...names].sort());
  expect(
    of(
      '@@ -10,2 +10,2 @@ static int first(int n)\n \tint a;\n-\ta = 1;\n+\ta = 2;\n',
      '@@ -20,5 +20,5 @@ int before(void)\n \treturn 0;\n }\n int within(void)\n {\n-\ta();\n+\tb();\n',
      '@@ -30,1 +30,1 @@ SYSCALL_DEFINE2(open, const char *, name, int, flags)\n-\treturn 1;\n+\treturn 2;\n',
      '@@ -40,1 +40,1 @@ static const struct rule rules[] = {\n-\t{ 1 },\n+\t{ 2 },\n',
      '@@ -50,2 +50,3 @@ int counts(void)\n {\n+\tstatic int count = 3;\n \tcount++;\n',
      // The function has ended: what follows is not its.
      '@@ -60,3 +60,4 @@ int ended(void)\n \treturn 0;\n }\n \n+int fresh;\n',
    ),
  ).toEqual([['first'], ['within'], ['sys_open'], ['rules'], ['count', 'counts'], ['fresh']]);
});

test('a file of the same name in another folder, and a unit of another name, are not meant', () => {
  const hunks = parsed('--- a/fs/x.c\n+++ b/fs/x.c\n@@ -5 +5 @@ int f(void)\n-a\n+b\n', 'x.patch').files.flatMap(
    hunksOf,
  );
  const at = (file: string, unit: string | null, name = 'g') =>
    tiesOf(hunks, { name, unit, places: [{ orig: [], patched: [{ file, line: 5 }] }] }).map(({ by }) => by);
  expect(at('/build/fs/x.c', null)).toEqual(['line']);
  expect(at('./fs/../fs/x.c', null)).toEqual(['line']);
  expect(at('/build/netfs/x.c', null)).toEqual([]);
  expect(at('/build/net/x.c', null)).toEqual([]);
  expect(at('', 'x.c', 'f.cold')).toEqual(['name']);
  expect(at('', 'y.c', 'f')).toEqual([]);
});
