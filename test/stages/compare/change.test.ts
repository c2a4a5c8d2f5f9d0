/**
 * What `diff` tells of a change. The first byte that differs is rarely the reason (`push %rbp` became `push %r15`), and pairing instructions by their
 * numbers made everything behind an insertion look changed: whoever reads the numbers must be able to trust that the rest is the same.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commonPairs } from '../../../src/stages/compare/edit-script';
import { renderEntries } from '../../../src/report/change';
import { COMPILERS, compiled } from '../../support/compiled';
import { diffObjects, type ObjectDiff } from '../../support/diff-objects';

describe('the edit script', () => {
  /** Length of a longest common subsequence, by the table of every textbook. */
  const longest = (a: number[], b: number[]): number => {
    const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
    for (let i = a.length - 1; i >= 0; i--)
      for (let j = b.length - 1; j >= 0; j--)
        table[i]![j] = a[i] === b[j] ? 1 + table[i + 1]![j + 1]! : Math.max(table[i + 1]![j]!, table[i]![j + 1]!);
    return table[0]![0]!;
  };
  const list = fc.array(fc.nat(3), { maxLength: 40 });

  test('pairs as much as can be paired, in order, and only what is equal', () => {
    fc.assert(
      fc.property(list, list, (a, b) => {
        const pairs = commonPairs(Int32Array.from(a), Int32Array.from(b));
        expect(pairs.every(([i, j]) => a[i] === b[j])).toBe(true);
        expect(pairs.every(([i, j], k) => k === 0 || (pairs[k - 1]![0] < i && pairs[k - 1]![1] < j))).toBe(true);
        expect(pairs.length).toBe(longest(a, b));
      }),
    );
  });

  test('lists that have nothing in common end soon', () => {
    const [a, b] = [0, 1].map((odd) => Int32Array.from({ length: 50_000 }, (_, i) => i * 2 + odd)) as [
      Int32Array,
      Int32Array,
    ];
    const started = performance.now();
    expect(commonPairs(a, b)).toEqual([]);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

const HEAD = 'extern int say(const char *, int); extern int other(int); extern int counter; extern int limit;\n';
const BODY = (before: string, after = ''): string => `${HEAD}
int f(int a) {
  ${before}
  int n = say("first", a);
  for (int i = 0; i < a; i++) n += say("loop", n + i);
  if (n > 100) n = other(n);
  ${after}
  return n + counter;
}`;

const codeChange = (diff: ObjectDiff, name = 'f') => {
  const found = diff.object.functions.changed.find((entry) => entry.name === name);
  if (found?.change?.kind !== 'code') throw new Error(`no change of code of ${name}`);
  return { ...found.change, size: found.size };
};

describe.each(COMPILERS)('%s', (compiler) => {
  const changeOf = (orig: string, patched: string, ...flags: string[]) =>
    codeChange(diffObjects(compiled(compiler, orig, ...flags), compiled(compiler, patched, ...flags)));

  test('a call that is put in at the start leaves the rest the same', () => {
    const { instructions, added, removed, size } = changeOf(BODY(''), BODY('if (limit == 7) other(3);'));
    expect(instructions.patched).toBe(instructions.orig + instructions.added - instructions.removed);
    expect(size.patched).toBeGreaterThan(size.orig);
    expect(added.map(({ kind, name }) => `${kind} ${name}`).sort()).toEqual(['call other', 'variable limit']);
    expect(removed).toEqual([]);
    // Every jump and call behind it has moved.
    expect(instructions.added + instructions.removed).toBeLessThan(instructions.orig);
    expect(instructions.added).toBeGreaterThan(0);
  });

  test('another string is one operand, and both texts are told', () => {
    const { instructions, added, removed } = changeOf(BODY(''), BODY('').replace('"loop"', '"LOOP"'));
    expect(instructions).toMatchObject({ added: 0, removed: 0, altered: 1 });
    expect([added, removed]).toEqual([
      [{ kind: 'string', name: '"LOOP"', times: 1 }],
      [{ kind: 'string', name: '"loop"', times: 1 }],
    ]);
  });

  test('another variable is told by name', () => {
    const { added, removed } = changeOf(BODY(''), BODY('').replace('n + counter', 'n + limit'));
    expect(added).toMatchObject([{ kind: 'variable', name: 'limit' }]);
    expect(removed).toMatchObject([{ kind: 'variable', name: 'counter' }]);
  });

  test('entries of special sections are counted in both builds', () => {
    const warn = (line: number): string =>
      `asm volatile("1: ud2; .pushsection __bug_table, \\"aw\\"; 2: .long 1b - 2b, 0; .word ${line}, 0; .popsection");`;
    const constant =
      'unsigned long p; asm("movabs $0x123456789abcdef, %0; 1: .pushsection runtime_ptr_hashes, \\"a\\"; 2: .long 1b - 8 - 2b; .popsection" : "=r"(p)); other(p);';
    const { entries } = changeOf(BODY(warn(10)), BODY(`${warn(10)} if (limit) { ${warn(20)} ${constant} }`));
    expect(entries).toEqual([
      { name: 'bug', orig: 1, patched: 2 },
      { name: 'runtime constant', orig: 0, patched: 1 },
    ]);
    expect(changeOf(BODY(''), BODY('other(3);')).entries).toEqual([]);
    expect(renderEntries({ entries })).toEqual([
      'special sections: bug 1 -> 2, runtime constant 0 -> 1 (read from its variable in a livepatch)',
    ]);
  });

  test('calls within one section, which have no relocation, are the same calls', () => {
    const two = (edit: string): string =>
      `${HEAD} __attribute__((noinline)) static int g(int a) { return other(a) + 1; }\nint f(int a) { ${edit} return g(a) + g(a + 1); }`;
    const flags = ['-fno-function-sections'];
    const { added, removed } = changeOf(two(''), two('if (a > 9) say("nine", a);'), ...flags);
    expect(added.map(({ name }) => name).sort()).toEqual(['"nine"', 'say']);
    expect(removed).toEqual([]);
  });
});

describe('data', () => {
  const [compiler] = COMPILERS;
  const rowsOf = (orig: string, patched: string) => {
    const diff = diffObjects(compiled(compiler!, orig), compiled(compiler!, patched));
    const [found, ...more] = diff.object.data.changed;
    expect(more).toEqual([]);
    if (found?.change?.kind !== 'data') throw new Error('no change of data');
    return found.change;
  };

  test.each([
    ['int v = 717;', 'int v = 718;', '717', '718', 4],
    ['long v = -2;', 'long v = 5;', '-2', '5', 8],
    ['unsigned char v = 200;', 'unsigned char v = 1;', '200', '1', 1],
    ['char v[] = "old text";', 'char v[] = "new text";', '"old text"', '"new text"', 9],
    ['extern int a, b; int *v = &a;', 'extern int a, b; int *v = &b;', 'a', 'b', 8],
  ])('%s became %s', (orig, patched, before, after, size) => {
    const use = '\nvoid *use(void) { return (void *)&v; }';
    expect(rowsOf(orig + use, patched + use)).toEqual({
      kind: 'data',
      rows: [{ offset: 0, orig: before, patched: after }],
      differing: 1,
      size: { orig: size, patched: size },
    });
  });

  test('a table is told row by row, to a limit that the count does not have', () => {
    const table = (from: number): string =>
      `unsigned long v[64] = { ${Array.from({ length: 64 }, (_, i) => from * (i % 2) + i + 1).join(', ')} };\nvoid *use(void) { return v; }`;
    const { rows, differing } = rowsOf(table(0), table(256));
    expect(differing).toBe(32);
    expect(rows.length).toBe(16);
    expect(rows[1]).toEqual({ offset: 24, orig: '04 00 00 00 00 00 00 00', patched: '04 01 00 00 00 00 00 00' });
  });
});
