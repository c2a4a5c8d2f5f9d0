/**
 * A module's file proves that ORIG is what is shipped: compiled with a section a function against linked from whole units, where calls within a unit have no
 * relocation any more. What must show: other code, another callee, another string, a function that is not there. A proof that passes these patches another module.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { checkPositions, proveModule } from '../../src/kbuild/module-proof';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

const ONE = `
extern int printk(const char *, ...);
int shared(int);
static int counter;
static int other;
static __attribute__((noinline, used)) int twice(int n) { counter += n; return n * 2; }
static __attribute__((noinline, used)) int thrice(int n) { other += n; return n * 3; }
int start(int n) { printk("started with %d\\n", n); return twice(n) + shared(n); }
int stop(int n) { printk("stopped\\n"); return thrice(n) + 1; }
`;
const TWO = `
extern int printk(const char *, ...);
static __attribute__((noinline, used)) int twice(int n) { return n + n + 1; }
int shared(int n) { printk("shared\\n"); return twice(n) + 1; }
`;

/** Both units compiled and linked as a module is: without a section a function where it is shipped. */
function made(name: string, [one, two]: readonly [string, string], flags: readonly string[]): string {
  const at = join(folder, name);
  mkdirSync(at);
  const objects = [one, two].map((text, i) => {
    const [source, object] = [join(at, `${i}.c`), join(at, `${i}.o`)];
    writeFileSync(source, text);
    execFileSync('gcc', ['-O2', '-mcmodel=kernel', '-fno-pie', '-mno-red-zone', ...flags, '-c', '-o', object, source]);
    return object;
  });
  execFileSync('ld', ['-r', '-o', join(at, 'module.o'), ...objects]);
  return join(at, 'module.o');
}

const SECTIONS = ['-ffunction-sections', '-fdata-sections'];
let orig = '';
beforeAll(() => (orig = made('orig', [ONE, TWO], SECTIONS)));

const proof = (name: string, change: (one: string, two: string) => [string, string]): string[] => {
  const shipped = made(name, change(ONE, TWO), []);
  return proveModule('m', orig, shipped, 'm.ko').diagnostics.map(({ code, message }) => `${code}: ${message}`);
};

test('the same code is proven, statics of one name in two units too', () => {
  const shipped = made('same', [ONE, TWO], []);
  expect(proveModule('m', orig, shipped, 'm.ko')).toEqual({ functions: 6, diagnostics: [] });
  // The premise: calls within a unit are final there.
  const relocations = (path: string): number =>
    execFileSync('objdump', ['-dr', path], { encoding: 'latin1' }).match(/R_X86_64_P/g)!.length;
  expect(relocations(shipped)).toBeLessThan(relocations(orig));
});

test.for<[what: string, change: (one: string, two: string) => [string, string], says: RegExp]>([
  ['an operand', (one, two) => [one.replace('n * 3', 'n * 5'), two], /1 of 6 .*thrice/],
  ['a callee in the unit', (one, two) => [one.replace('return thrice(n)', 'return twice(n)'), two], /stop/],
  ['a variable of the same kind', (one, two) => [one.replace('other += n', 'counter += n'), two], /thrice/],
  ['a text', (one, two) => [one.replace('stopped', 'STOPPED'), two], /stop/],
  ['the second static of a name', (one, two) => [one, two.replace('n + n + 1', 'n + n + 2')], /twice/],
  ['a function that is not there', (one, two) => [one.replace('int stop(', 'int halt('), two], /stop \(not there\)/],
  ['the order of units', (one, two) => [two, one], /twice/],
])('%s shows', ([what, change, says]) => {
  expect(proof(what.replaceAll(' ', '-'), change)).toEqual([expect.stringMatching(says)]);
});

test('a short jump to a function nearby is as it was built only without a section a function', () => {
  const [one, two] = [ONE, TWO.replace('return twice(n) + 1', 'return twice(n)')];
  const shipped = made('short', [one, two], []);
  expect(proveModule('m', made('long', [one, two], SECTIONS), shipped, 'm.ko').diagnostics).toHaveLength(1);
  expect(proveModule('m', made('plain', [one, two], []), shipped, 'm.ko').diagnostics).toEqual([]);
});

test('a name that the file has more often than ORIG means nothing', () => {
  const shipped = made('more', [ONE, TWO.replaceAll('twice', 'thrice')], []);
  expect(checkPositions('m', orig, shipped, ['start']).map(({ code }) => code)).toEqual([]);
  expect(
    checkPositions('m', orig, shipped, ['start', 'twice', 'thrice']).map(({ code, where }) => [code, where.symbol]),
  ).toEqual([
    ['position-unknown', 'twice'],
    ['position-unknown', 'thrice'],
  ]);
});
