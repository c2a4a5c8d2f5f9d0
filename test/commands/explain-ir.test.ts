/**
 * `explain --ir`: the IR of one function of two bitcode files. The silent failures: every line behind an inserted one told as changed, because values are numbered anew; and an operand that
 * became another value taken for such a number.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { IrExplanation } from '../../src';
import { alignIr } from '../../src/stages/explain/ir';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const SOURCE = `int printk(const char *, ...);
int seen;
static int helper(int n) { return n ^ 9; }
int first(int n, int *p)
{
	printk("first\\n");
	if (n > 7)
		seen += *p;
	printk("second\\n");
	return helper(n) + p[1];
}
int other(int n) { return n; }
`;
const PATCHED = SOURCE.replace('printk("first', 'printk("new\\\\n");\n\tprintk("first'.replace('\\\\n', '\\n')).replace(
  'n > 7',
  'n > 8',
);
const compilers = ['clang-19', 'clang-22'].filter((name) => spawnSync(name, ['--version']).error === undefined);

function bitcode(name: string, compiler: string, source: string): string {
  writeFileSync(join(folder, 'unit.c'), source);
  const file = join(folder, `${name}.o`);
  execFileSync(compiler, ['-O2', '-g', '-flto=thin', '-c', join(folder, 'unit.c'), '-o', file]);
  return file;
}

test.each(compilers)('%s: what was put in and what became another, nothing behind it', async (compiler) => {
  const [orig, patched] = [bitcode(`a-${compiler}`, compiler, SOURCE), bitcode(`b-${compiler}`, compiler, PATCHED)];
  const { stdout, stderr } = await running(['explain', orig, patched, 'first', '--ir', '--json']);
  expect(stderr).toBe('');
  const found = JSON.parse(stdout) as IrExplanation & { schema: string };
  expect(found).toMatchObject({ schema: 'klpflow/explain-ir@1', name: 'first' });
  const differing = found.rows.filter(({ kind }) => kind !== 'same');
  expect(differing.map(({ kind }) => kind)).toEqual(['inserted', 'argument']);
  // A string is its text, whatever number its name has.
  expect(differing[0]!.patched).toContain('c"new\\0A\\00"');
  expect([differing[1]!.orig, differing[1]!.patched]).toEqual([
    expect.stringMatching(/icmp.*, [78]$/),
    expect.stringMatching(/icmp.*, [89]$/),
  ]);
  const { stdout: text } = await running(['explain', orig, patched, 'first', '--ir', '--context', '0']);
  expect(text).toMatch(/^first {2}\(IR by \S+; ORIG \d+ lines, PATCHED \d+ lines; 2 lines differ\)/);
  expect(text.split('\n').filter((line) => /^ {2}[-+~!]/.test(line))).toHaveLength(3);
  expect((await running(['explain', orig, patched, 'other', '--ir'])).stdout).toContain('the same)');
  const none = await running(['explain', orig, patched, 'fir', '--ir']);
  expect([none.status, none.stderr]).toEqual([1, expect.stringContaining('there is first')]);
  // Without --ir it is said what to do.
  expect((await running(['explain', orig, patched, 'first', '--run-dir', join(folder, 'runs')])).stderr).toMatch(
    /error bitcode: [^]*--ir/,
  );
});

test('what is no bitcode, and a machine without LLVM, are told', async () => {
  const text = join(folder, 'text.o');
  writeFileSync(text, 'text');
  expect((await running(['explain', text, text, 'f', '--ir'])).stderr).toContain('error not-bitcode');
  const file = join(folder, 'cut.o');
  writeFileSync(file, Buffer.concat([Buffer.from('4243c0de', 'hex'), Buffer.alloc(64, 0xff)]));
  const { stderr } = await running(['explain', file, file, 'f', '--ir'], { env: { PATH: folder } });
  expect(stderr).toContain('error no-llvm: ');
  expect((await running(['explain', file, file, 'f', '--ir'])).stderr).toMatch(/error no-llvm: .*cut\.o/);
});

test('numbers of values and blocks are places: one that is another value counts', () => {
  const ours = [
    'define i32 @f(i32 %0, i32 %1) {',
    '  %3 = add i32 %0, 1',
    '  br label %4',
    '4:',
    '  %5 = mul i32 %3, %1',
    '  ret i32 %5',
  ];
  const moved = [
    'define i32 @f(i32 %0, i32 %1) {',
    '  %3 = call i32 @g()',
    '  %4 = add i32 %0, 1',
    '  br label %5',
    '5:',
    '  %6 = mul i32 %4, %1',
    '  ret i32 %6',
  ];
  const kinds = (lines: string[]): string[] => alignIr(ours, lines, 99).rows.map(({ kind }) => kind);
  expect(kinds(moved)).toEqual(['same', 'inserted', 'same', 'same', 'same', 'same', 'same']);
  const swapped = moved.map((line) => line.replace('mul i32 %4, %1', 'mul i32 %3, %1'));
  expect(kinds(swapped)).toEqual(['same', 'inserted', 'same', 'same', 'same', 'argument', 'same']);
});
