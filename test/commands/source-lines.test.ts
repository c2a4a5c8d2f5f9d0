/**
 * Why a function changed, where objects have debug information: the source line of each instruction that differs, on both sides, with the chain of inlining. The silent failure: a line of
 * another function, by an address that counts from another section's start.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';
import type { Explanation } from '../../src';

const folder = tempFolder();
const SOURCE = `int seen;
static inline __attribute__((always_inline)) int twice(int n)
{
	seen += 7;
	return n;
}
int other(int n) { return n ? 3 : seen; }
int first(int n)
{
	if (n > 7)
		return twice(n) + 1;
	return n;
}
`;

/** Compiled as a unit of a kernel is; the patched one is a line further down. */
function compiled(name: string, source: string, ...flags: string[]): string {
  writeFileSync(join(folder, 'unit.c'), source);
  const object = join(folder, `${name}.o`);
  execFileSync('gcc', ['-O2', ...flags, '-c', join(folder, 'unit.c'), '-o', object]);
  return object;
}

async function explained(orig: string, patched: string): Promise<{ text: string; json: Explanation }> {
  const words = ['explain', orig, patched, 'first', '--run-dir', join(folder, 'runs')];
  const { stdout } = await running([...words, '--json']);
  return { text: (await running(words)).stdout, json: JSON.parse(stdout) as Explanation };
}

const patchedSource = SOURCE.replace('seen += 7', 'seen += 9').replace('int seen;', '\nint seen;');
const programs = ['gcc', 'addr2line'].filter((name) => spawnSync(name, ['--version']).error !== undefined);

test.each([
  ['each function in a section', ['-g', '-ffunction-sections']],
  ['all in .text', ['-gdwarf-4']],
])('%s: the inlined line and who inlined it, of both builds', async (_, flags) => {
  if (programs.length > 0) return;
  const { text, json } = await explained(compiled('a', SOURCE, ...flags), compiled('b', patchedSource, ...flags));
  const differing = json.rows.filter(({ same }) => !same);
  expect(differing).toHaveLength(1);
  const [{ orig, patched }] = differing as [(typeof differing)[0]];
  const places = [orig, patched].map((cell) => cell!.source!.map(({ function: name, line }) => `${name}:${line}`));
  expect(places).toEqual([
    ['twice:4', 'first:11'],
    ['twice:5', 'first:12'],
  ]);
  expect(text).toMatch(/twice \S+\/unit\.c:4 < first \S+\/unit\.c:11 +\| +.*twice \S+\/unit\.c:5 < first/);
});

test('without debug information, nothing is said and nothing fails', async () => {
  if (programs.length > 0) return;
  const { json } = await explained(compiled('c', SOURCE), compiled('d', patchedSource));
  expect(json.rows.some(({ same }) => !same)).toBe(true);
  expect(JSON.stringify(json)).not.toContain('"source"');
});

test('of two sections of one name addr2line knows the first only: no line is better than another function’s', async () => {
  if (programs.length > 0) return;
  const twin = (name: string, source: string): string => {
    const one = compiled(`${name}-1`, source.replaceAll(/\b(first|seen|other)\b/g, 'x_$1'), '-g');
    const two = compiled(`${name}-2`, source, '-g');
    execFileSync('ld', ['-r', '--unique=.text', '-o', join(folder, `${name}.o`), one, two]);
    return join(folder, `${name}.o`);
  };
  const { json } = await explained(twin('e', SOURCE), twin('f', patchedSource));
  expect(json.rows.some(({ same }) => !same)).toBe(true);
  expect(json.places).toEqual({ orig: null, patched: null });
  expect(JSON.stringify(json)).not.toContain('"source"');
});
