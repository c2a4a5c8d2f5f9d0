/** `--set-data`: which changes of a variable in use a livepatch may write, as words of the compiler's own objects. Booted by test/e2e/data.test.ts. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkPacked, planData, withCallbacks, type DataPlan, type UnitObjects } from '../../src/kbuild/set-data';
import { ALIGNMENTS } from '../../src/kbuild/set-data/source';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let compiled = 0;

function object(text: string): string {
  const path = join(folder, `${compiled++}`);
  writeFileSync(`${path}.c`, text);
  const flags = ['-O2', '-fno-pie', '-mcmodel=kernel', '-ffunction-sections', '-fdata-sections'];
  execFileSync('gcc', [...flags, '-c', '-o', `${path}.o`, `${path}.c`]);
  return `${path}.o`;
}

function unit(before: string, after: string, name = 'net/table.c'): UnitObjects {
  const own = { source: name, object: name.replace(/c$/, 'o'), owners: ['vmlinux'], compile: [], objtool: null };
  return { unit: own, orig: object(before), patched: object(after) };
}

const refusals = ({ diagnostics }: Pick<DataPlan, 'diagnostics'>): string[] =>
  diagnostics.filter(({ code }) => code === 'set-data').map(({ message }) => message);

/** A table as sysctls have it: a text, a pointer to data, a width, a mode, a function. */
const TABLE = [
  'struct row { const char *name; void *data; int width; unsigned short mode; int (*handler)(int); };',
  'int shown(int), checked(int), value;',
  'static __attribute__((noinline)) int own(int n) { return n + 1; }',
  'int (*volatile keep)(int) = own;',
  'struct row table[] = {',
  '  { "first", &value, 4, 0644, shown },',
  '  { "second", &value, 4, 0600, 0 },',
  '};',
  '',
].join('\n');

const planned = (from: string, to: string): DataPlan => planData(['table'], [unit(TABLE, TABLE.replace(from, to))]);

test('fields that differ are words: a number by its bytes, a pointer by what it leads to', () => {
  const plan = planned('{ "first", &value, 4, 0644, shown }', '{ "first", &value, 2, 0640, checked }');
  expect(refusals(plan)).toEqual([]);
  expect(plan.holders[0]!.variables[0]!.words).toEqual([
    // `width` and `mode` lie in one word, of which only the bytes that differ are written.
    {
      at: 16,
      size: 8,
      mask: 0xff_0000_00ffn,
      from: { kind: 'number', value: 0xa4_0000_0004n },
      to: { kind: 'number', value: 0xa0_0000_0002n },
    },
    {
      at: 24,
      size: 8,
      mask: (1n << 64n) - 1n,
      from: { kind: 'address', name: 'shown', addend: 0 },
      to: { kind: 'address', name: 'checked', addend: 0 },
    },
  ]);
  expect(plan.setData).toEqual([
    {
      name: 'table',
      ranges: [
        { at: 16, size: 5 },
        { at: 24, size: 8 },
      ],
    },
  ]);
});

test('a pointer that was none, to a function of the file', () => {
  const plan = planned('0600, 0 }', '0600, own }');
  expect(refusals(plan)).toEqual([]);
  expect(plan.holders[0]!.variables[0]!.words).toMatchObject([
    { at: 56, from: { kind: 'number', value: 0n }, to: { kind: 'address', name: 'own' } },
  ]);
});

test('what the callbacks are made of compiles, whatever the unit declares', () => {
  const one = unit(TABLE, TABLE.replace('0644, shown', '0640, checked'));
  const { holders } = planData(['table'], [one]);
  // The patch left no word of `shown`.
  const text = TABLE.replace('int shown(int), checked', 'int checked').replace('0644, shown', '0640, checked');
  const files = [{ path: 'net/table.c', original: TABLE, patched: text }];
  const [file] = withCallbacks(holders, files, folder, true);
  const macros = [
    'struct klpflow_word { void *at; unsigned long size, mask, from, to; };',
    '#define KLPFLOW_SET_DATA(words, replaces) struct klpflow_word *used(void) { return words; }',
  ].join('\n');
  const patched = object(file!.patched!.replace('#include <klpflow_set_data.h>', macros));
  expect(execFileSync('readelf', ['-SW', patched], { encoding: 'utf8' })).toContain(ALIGNMENTS);
  expect(execFileSync('nm', [patched], { encoding: 'utf8' })).toMatch(/ U shown$/m);
  expect(checkPacked(holders, [{ ...one, patched }])).toEqual([]);
});

test.each([
  ['a text, which goes with the livepatch', '"first"', '"fourth"', /at \+0x0 its (?:old|new) value is the text "f/],
  ['a function that is new', 'shown }', 'fresh }', /its new value is fresh, which comes and goes with the livepatch/],
  ['read-only data', 'struct row table', 'const struct row table', /PATCHED has it in \.rodata/],
  ['another size', '{ "second", &value, 4, 0600, 0 },', '', /its size changes from 64 to 32 bytes/],
  ['nothing', '', '', /the initial value of table is the same with the patch/],
])('refused: %s', (_, from, to, why) => {
  const fresh = to.includes('fresh') ? '__attribute__((noinline)) int fresh(int n) { return n + 2; }\n' : '';
  const plan = planData(['table'], [unit(TABLE, fresh + TABLE.replace(from, to))]);
  expect(refusals(plan)).toEqual([expect.stringMatching(why)]);
  expect(plan.holders).toEqual([]);
});

test.each(['.data..ro_after_init', '.init.data', '.data..percpu', '.data..once', '.rodata'])(
  'refused: a variable in %s',
  (section) => {
    const text = (value: number): string =>
      `__attribute__((section("${section}"))) ${section === '.rodata' ? 'const ' : ''}int limit = ${value};\n`;
    expect(refusals(planData(['limit'], [unit(text(1), text(2))]))).toEqual([expect.stringContaining(section)]);
  },
);

test('refused: a variable of two units, one that no unit has, two units of one object, callbacks of the patch', () => {
  const [a, b] = [unit('int limit = 1;', 'int limit = 2;'), unit('int limit = 1;', 'int limit = 3;', 'net/other.c')];
  expect(refusals(planData(['limit'], [a, b]))).toEqual([expect.stringMatching(/which is meant\?$/)]);
  expect(refusals(planData(['absent'], [a, b]))).toEqual([expect.stringMatching(/defines a variable absent$/)]);
  expect(refusals(planData(['a.b'], [a]))).toEqual([expect.stringMatching(/no name of a variable/)]);
  const other = unit('int least = 1;', 'int least = 3;', 'net/other.c');
  expect(refusals(planData(['limit', 'least'], [a, other]))).toEqual([expect.stringMatching(/one callback/)]);
  const own = unit('int limit = 1;', 'int limit = 2; int __klp_pre_patch_callback_vmlinux = 1;');
  expect(refusals(planData(['limit'], [own]))).toEqual([expect.stringMatching(/callbacks of its own for vmlinux/)]);
});

test('refused: a field of a packed struct may lie in two of the words', () => {
  const packed = (value: string): string =>
    `struct __attribute__((packed)) { char kind; long a, b; } limit __attribute__((aligned(8))) = { 1, ${value} };\n`;
  const one = unit(packed('0x1111, 0x1111'), packed('0x2222222222222222, 0x2222222222222222'));
  const { holders, diagnostics } = planData(['limit'], [one]);
  expect(refusals({ diagnostics })).toEqual([]);
  const section = `__attribute__((used, section("${ALIGNMENTS}")))`;
  const patched = object(
    `${packed('2, 2')}static const unsigned char alignments[] ${section} = { __alignof__(typeof(limit)) };`,
  );
  expect(checkPacked(holders, [{ ...one, patched }]).map(({ message }) => message)).toEqual([
    expect.stringMatching(/its fields are packed/),
  ]);
});
