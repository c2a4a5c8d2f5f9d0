/** Data that points into a function at other than its entry goes where the function goes; nothing leads into the middle of one that stays. */
import { describe, expect, test } from 'vitest';
import { body, lea, movEax } from '../../support/diff-objects';
import { code, disp32, object, ptr64, u64, type ObjectBuilder } from '../../support/elf-builder';
import { COMPILERS, compiled } from '../../support/compiled';
import { extractObjects as extractPair, type Extracted } from '../../support/extract-objects';

const extractObjects = (
  orig: Parameters<typeof extractPair>[0],
  patched: Parameters<typeof extractPair>[1],
): Extracted => extractPair(orig, patched, { exports: ['__fentry__', '__x86_return_thunk', 'ext', 'give'] });

const HEAD = 'int ext(int); void give(const void *);\n';
const INTERPRETER = (step: string): string => `${HEAD}
int f(const unsigned char *p, int acc) {
 static const void *const jumptable[4] = { &&op_add, &&op_sub, &&op_ext, &&op_end };
 goto *jumptable[*p & 3];
op_add: acc +=
${step}
 p++; goto *jumptable[*p & 3];
op_sub: acc -= ext(3); p++; goto *jumptable[*p & 3];
op_ext: acc = ext(acc); p++; goto *jumptable[*p & 3];
op_end: return acc; }
int g(int x) { return ext(x) + 5; }`;
const COSTS = (cost: number, step = 8, type = 'static const'): string => `${HEAD}
int f(int acc) {
 ${type} struct { const void *l; int cost; } ops[] = { { &&a, 1 }, { &&b, ${cost} }, { &&c, 3 } };
 int i = acc & 1;
again: acc += ops[i].cost; goto *ops[i].l;
a: acc += ${step}; i = 1; if (acc < 100) goto again; return acc;
b: acc -= ext(4); i = 2; goto again;
c: return ext(acc); }`;

/** Labels that data of the livepatch holds, as the function they lie in; what does not lie in one counts as outside. */
function labels(made: Extracted): string[] {
  return made.object.sections
    .filter(({ flags }) => (flags & 4) === 0)
    .flatMap(({ relas, name }) => (name.startsWith('__') ? [] : relas))
    .flatMap(({ symbol, addend }) => {
      const { section } = symbol;
      if (typeof section === 'string' || (section.flags & 4) === 0) return [];
      const place = symbol.value + addend;
      const owner = made.object.symbols.find(
        (one) => one.section === section && one.size > 0 && place >= one.value && place < one.value + one.size,
      );
      return [owner === undefined ? 'outside' : owner.name];
    });
}

describe.each(COMPILERS)('%s', (compiler) => {
  test.each(['-O1', '-O2', '-Os'])('a table of labels is copied with its function (%s)', (level) => {
    // Through the running kernel's table the first goto leads into the old body (`___bpf_prog_run`).
    for (const step of [' 77;', ' ext(77);']) {
      const made = extractObjects(
        compiled(compiler, INTERPRETER(' 78;'), level),
        compiled(compiler, INTERPRETER(step), level),
      );
      expect(made.told).toEqual([]);
      expect(Object.keys(made.diff.changed)).toEqual(['f']);
      expect(labels(made)).toEqual(['f', 'f', 'f', 'f']);
      expect(made.klpSymbols.filter(({ name }) => name.includes('jumptable'))).toEqual([]);
    }
  });

  test("what stands beside the labels is the function's, too", () => {
    // A changed number in the table is no changed variable of the kernel, but a change of the only code that reads it.
    const made = extractObjects(compiled(compiler, COSTS(2)), compiled(compiler, COSTS(5)));
    expect(made.told).toEqual([]);
    expect(made.diff.changed).toEqual({ f: 'table' });
    expect(labels(made)).toEqual(['f', 'f', 'f']);
    expect(made.diff.data.changed).toEqual([]);
  });

  test('a table that may have been written to is refused', () => {
    const source = (step: number): string =>
      `${COSTS(2, step, 'static').replace('int i = acc & 1;', 'int i = acc & 1; if (acc > 5) ops[2].cost = acc;')}`;
    expect(extractObjects(compiled(compiler, source(8)), compiled(compiler, source(9))).told).toContain(
      `label-table ${compiler === 'gcc' ? 'ops.0' : 'f.ops'}`,
    );
  });

  test("jump tables without a name are the new function's", () => {
    const source = (
      value: number,
    ): string => `${HEAD}int f(int c) { switch (c) { case 0: return ext(4); case 1: return ext(ext(${value})); case 2: give("a"); return 7; case 3: give("b"); return ext(1) + 2; case 4: return ext(c) * 9; case 5: give("c"); return 11; } return -1; }
int h(int c) { switch (c) { case 0: return ext(5); case 1: return ext(ext(9)); case 2: give("x"); return 7; case 3: give("y"); return ext(1) + 3; case 4: return ext(c) * 5; case 5: give("z"); return 12; } return -2; }`;
    const flags = ['-fjump-tables', '-fcf-protection=none', '-fno-function-sections', '-fno-data-sections'];
    const made = extractObjects(compiled(compiler, source(4), ...flags), compiled(compiler, source(6), ...flags));
    expect(Object.keys(made.diff.changed)).toEqual(['f']);
    expect(labels(made).length).toBeGreaterThan(4);
    expect(new Set(labels(made))).toEqual(new Set(['f']));
  });
});

describe('tables of functions that stay', () => {
  const LOCAL = { bind: 'local' } as const;
  const table = (builder: ObjectBuilder): ObjectBuilder =>
    builder.func('f', body(movEax(3), movEax(4)), LOCAL).rodata('tab', [ptr64('f', 7), ptr64('f', 12)], LOCAL);
  const pair = (make: (builder: ObjectBuilder, value: number) => ObjectBuilder): Extracted =>
    extractObjects(make(object().file('x.c'), 1), make(object().file('x.c'), 2));

  test('one that other included code reads is refused', () => {
    // What g takes out of the kernel's table is the old f's, out of a copy nobody's.
    expect(pair((b, value) => table(b).func('g', body(movEax(value), lea('tab')))).told).toEqual(['label-table tab']);
  });

  test('one that code reads which stays is refused', () => {
    const made = pair((b, value) =>
      b
        .func('f', body(movEax(value), lea('tab')), LOCAL)
        .rodata('tab', [ptr64('f', 7), u64(1)], LOCAL)
        .func('g', body(movEax(1), lea('tab'))),
    );
    expect(made.told).toEqual(['label-table tab']);
    expect(made.diff.diagnostics[0]!.message).toMatch(/tab holds addresses inside f, .*g reads it/);
  });

  test("one that nobody included reads is nobody's business", () => {
    expect(
      pair((b, value) =>
        table(b)
          .func('h', body(movEax(1), lea('tab')))
          .func('g', body(movEax(value))),
      ).told,
    ).toEqual([]);
  });

  test('a table of entries is no table of labels', () => {
    const made = pair((b, value) =>
      b
        .func('f', body(movEax(3)), LOCAL)
        .rodata('tab', [ptr64('f'), u64(1)], LOCAL)
        .func('g', body(movEax(value), lea('tab'))),
    );
    expect(made.told).toEqual([]);
    expect(made.klpSymbols.map(({ name }) => name)).toContain('tab');
  });

  test('a jump into the middle of a function is refused, where that stays', () => {
    const jump = code(0xe9, disp32('f', 7));
    expect(
      pair((b, value) => b.func('f', body(movEax(3), movEax(4)), LOCAL).func('g', body(movEax(value), jump))).told,
    ).toEqual(['inside-function f+0x7']);
  });
});
