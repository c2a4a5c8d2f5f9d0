/**
 * explain is read in place of objdump's output: what it marks must be what differs, and what it leaves out the same. It showed another function of the
 * name, called everything behind one inserted instruction changed, and said "same" of what `diff` ignores.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { CATALOGUE, type Explanation } from '../../src/index';
import { COMPILERS, compiled } from '../support/compiled';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const [compiler] = COMPILERS;

const SOURCE = (edit: string, fresh = '', value = 717, line = ''): string => `
extern int say(const char *, int); extern int other(int); extern int counter; extern void warned(const char *, int);
int scale = ${value};
const unsigned long rows[4] = { 1, 2, 3, 4 };
${fresh}
int longest(int a) {
  ${edit}
  int n = say("first", a);
  for (int i = 0; i < a; i++) n += say("loop", n + i);
  if (n > 100) n = other(n);
  return n + counter + scale;
}
int untouched(int a) { return other(a) + rows[a & 3]; }
${line}
`;

let pair: string[] = [];
const explain = async (symbol: string, ...more: string[]) => {
  const argv = ['explain', ...pair, symbol, '--run-dir', join(folder, 'run'), '--progress', 'none', ...more];
  const { status, stdout, stderr } = await running(argv);
  return { status, text: stdout + stderr };
};
const asked = async (symbol: string, ...more: string[]): Promise<Explanation> =>
  JSON.parse((await explain(symbol, '--json', ...more)).text) as Explanation;

describe.skipIf(compiler === undefined)('explain', () => {
  beforeAll(() => {
    const orig = compiled(compiler!, SOURCE(''));
    const patched = compiled(
      compiler!,
      SOURCE(
        'if (counter == 7) fresh_one(3);',
        '__attribute__((noinline)) int fresh_one(int a) { return say("fresh", a); }',
        718,
      ),
    );
    pair = [orig, patched].map((bytes, i) => {
      const path = join(folder, ['a', 'b'][i]!, 'sub', 'unit.o');
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
      return path;
    });
  });

  test('marks what was put in and leaves the rest out, counted', async () => {
    const { rows, skipped, change, size } = await asked('longest', '--context', '1');
    if (change?.kind !== 'code') throw new Error('no change of code');
    const marked = (kind: string): number => rows.filter((row) => row.kind === kind).length;
    expect(marked('inserted') + marked('replaced')).toBe(change.instructions.added);
    expect(marked('deleted') + marked('replaced')).toBe(change.instructions.removed);
    expect(marked('argument')).toBe(change.instructions.altered);
    expect(change.added.map(({ name }) => name)).toContain('fresh_one');
    // Without context no row is told that is the same; all rows together are the function.
    const bare = await asked('longest', '--context', '0');
    const leftOut = bare.skipped + bare.rows.reduce((sum, row) => sum + row.skipped, 0);
    expect(leftOut).toBeGreaterThan(0);
    expect(skipped).toBeLessThan(leftOut);
    const whole = await asked('longest', '--context', '10000');
    expect(whole.rows.length).toBe(bare.rows.length + leftOut);
    // Every instruction of both builds occurs once.
    for (const [build, bytes] of [
      ['orig', size.orig],
      ['patched', size.patched],
    ] as const) {
      const offsets = whole.rows.flatMap((row) => row[build]?.offset ?? []);
      expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
      expect(offsets[0]).toBe(0);
      expect(offsets.at(-1)).toBeLessThan(bytes);
    }
  });

  test('names what an operand relative to the instruction is', async () => {
    const { text } = await explain('longest', '--context', '10000');
    // Kernels are linked at fixed addresses, but both compilers count such operands from the instruction.
    expect(text).toMatch(/counter(\(%rip\)|\s|,|$)/m);
    expect(text).not.toMatch(/[ ,]\(%rip\)/);
  });

  test('a variable: values and who uses it', async () => {
    const { text } = await explain('scale');
    expect(text).toMatch(/used by longest$/m);
    expect(text).toMatch(/^ +0 +717 +\| 718$/m);
  });

  test('a variable that is the same: what it holds', async () => {
    const { content, users, verdict } = await asked('rows');
    expect(verdict?.status).toBe('same');
    expect(content.map(({ text }) => text.slice(0, 2))).toEqual(['01', '02', '03', '04']);
    expect(users).toEqual({ names: ['untouched'], count: 1 });
  });

  test('a new function: who calls it', async () => {
    const { text } = await explain('fresh_one');
    expect(text).toMatch(/it is new in PATCHED$/m);
    expect(text).toMatch(/called or referred to by longest$/m);
    expect(text).toMatch(/(call|jmp) say$/m);
  });

  test('a beginning that is no other name will do; several, or none, are told with what there is', async () => {
    expect((await asked('untouc')).name).toBe('untouched');
    const { status, text } = await explain('touched');
    expect(status).toBe(1);
    expect(text).toMatch(/error symbol-not-found: .*there is untouched/);
    // A whole name is that name, though others begin with it.
    expect((await asked('fresh_one')).name).toBe('fresh_one');
  });

  test('of two folders: the pair that names it', async () => {
    const { status, stdout } = await running([
      'explain',
      join(folder, 'a'),
      join(folder, 'b'),
      'longest',
      '--run-dir',
      join(folder, 'run'),
      '--progress',
      'none',
    ]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^longest {2}\(function/);
  });

  test('what diff ignores is shown with why it does not count', async () => {
    const before = pair;
    const source = (lines: number): string =>
      `extern void __might_sleep(const char *, int); ${'\n'.repeat(lines)} void f(int a) { if (a) __might_sleep("unit.c", __LINE__); }`;
    pair = [1, 4].map((lines) => {
      const path = join(folder, `line${lines}.o`);
      writeFileSync(path, compiled(compiler!, source(lines)));
      return path;
    });
    const { verdict, rows } = await asked('f');
    const { text } = await explain('f');
    pair = before;
    expect(verdict?.status).toBe('ignored');
    expect(text).toMatch(/^ignored: line, .*source lines differ/m);
    expect(rows.some(({ kind }) => kind === 'argument')).toBe(true);
  });
});

describe('explain CODE', () => {
  test('prints cause, example and remedy of a code', async () => {
    const { status, stdout } = await running(['explain', 'sealed-endbr']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^sealed-endbr\n {2}refusal.*--allow sealed-endbr/);
    expect(stdout).toContain('for example: ');
    expect(stdout).toContain(CATALOGUE['sealed-endbr'].hint);
  });

  test('says what is missing of anything else', async () => {
    const { status, stderr } = await running(['explain', 'no-such-code']);
    expect([status, stderr]).toEqual([1, expect.stringContaining("no-such-code is no diagnostic's code")]);
  });
});
