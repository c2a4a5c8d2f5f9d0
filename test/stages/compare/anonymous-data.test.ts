/** Data without a symbol: what may belong to one object is compared whole, and copied once. */
import { describe, expect, test } from 'vitest';
import { COMPILERS, compiled } from '../../support/compiled';
import { extractObjects as extractPair, type Extracted } from '../../support/extract-objects';

const extractObjects = (orig: Buffer, patched: Buffer): Extracted =>
  extractPair(orig, patched, { exports: ['__fentry__', 'ext', 'say', 'give'] });
const HEAD = 'int ext(const void *, int); int say(const char *); void give(int);\n';
const LISTS = (list: string, edit = ''): string => `${HEAD}
#define LIST ${list}
int f(int c) { ${edit} say("middle"); return ext(LIST, sizeof(LIST)) + 1; }
int g(int c) { return ext(LIST + 4, sizeof(LIST) - 4) + 2; }
int h(int c) { return ext("other", c) + 3; }`;
const LIST = '"one\\0two\\0three\\0"';

/** What the places that a function reaches in the livepatch's data hold. */
function contents(made: Extracted, of: string): string[] {
  const { section, value, size } = made.symbol(of);
  if (typeof section === 'string') throw new Error(`${of} is not defined`);
  return section.relas
    .filter(({ offset }) => offset >= value && offset < value + size)
    .flatMap(({ symbol, addend, type }) => {
      const target = symbol.section;
      if (typeof target === 'string' || (target.flags & 4) !== 0) return [];
      return [Buffer.from(target.bytes).toString('latin1', symbol.value + addend + (type === 2 ? 4 : 0))];
    });
}

describe.each(COMPILERS)('%s', (compiler) => {
  // GCC puts what holds NULs into .rodata without a name; Clang does where data has no sections of its own.
  test.each([[], ['-fno-data-sections', '-fno-function-sections']])(
    'a list of names with NULs between is one literal (%s)',
    (...flags) => {
      const { diff } = extractObjects(
        compiled(compiler, LISTS(LIST), ...flags),
        compiled(compiler, LISTS('"one\\0two\\0thred\\0"'), ...flags),
      );
      // f hands out all of it, though g names a place in the middle.
      expect(Object.keys(diff.changed).sort()).toEqual(['f', 'g']);
    },
  );

  test.each([[], ['-fno-data-sections', '-fno-function-sections']])(
    'its copy is whole behind each reference (%s)',
    (...flags) => {
      const both = (edit: string): string => LISTS(LIST, `${edit} ext(LIST + 4, 5);`);
      const made = extractObjects(
        compiled(compiler, both(''), ...flags),
        compiled(compiler, both('if (c == 3) return 0;'), ...flags),
      );
      expect(made.told).toEqual([]);
      const found = contents(made, 'f').filter((text) => text.includes('three'));
      expect(found.length).toBeGreaterThan(0);
      for (const text of found)
        expect(text.startsWith('one\0two\0three\0\0') || text.startsWith('two\0three\0\0')).toBe(true);
    },
  );

  describe('behind the end of an array with a name', () => {
    const source = (list: string, edit = ''): string => `${HEAD}
asm(".section .rodata,\\"a\\"; .type names, @object; .size names, 16; names: .quad 1, 2; .LX: .ascii \\"${list}\\"; .text");
extern const long names[2] asm("names"); extern const char lit[] asm(".LX");
int f(int c) { ${edit} return ext(lit, 12) + 1; }
int g(int c) { return ext(names, c) + 2; }`;

    test('it is no end of that array', () => {
      // `ld -r` puts the literals of one unit behind the names of another one: read as the end of `names`, the running kernel has anything there.
      const made = extractObjects(
        compiled(compiler, source('one.two.thre')),
        compiled(compiler, source('one.two.thre', 'if (c == 3) return 0;')),
      );
      expect(made.told).toEqual([]);
      expect(contents(made, 'f')).toEqual(['one.two.thre']);
    });

    test('what changes there is a change', () => {
      const { diff } = extractObjects(
        compiled(compiler, source('one.two.thre')),
        compiled(compiler, source('one.two.four')),
      );
      expect(Object.keys(diff.changed)).toEqual(['f']);
    });
  });

  test('a loop over a constant from its end back', () => {
    // Clang counts from the end up to zero: the only place that the code names lies behind the constant.
    const source = (last: number): string =>
      `${HEAD}int f(int c) { int s = 0; for (int i = 0; i < 8; i++) { give(c ^ ((const int[]){ 11, 22, 33, 44, 55, 66, 77, ${last} })[i]); } return s; }\nint g(int c) { return ext(LIST2, c); }`.replace(
        'LIST2',
        '"a\\0b"',
      );
    for (const flags of [['-O1'], ['-Os'], ['-O2', '-fno-unroll-loops'], ['-O1', '-fno-data-sections']]) {
      const { diff } = extractObjects(
        compiled(compiler, source(88), ...flags),
        compiled(compiler, source(89), ...flags),
      );
      expect(Object.keys(diff.changed), flags.join(' ')).toEqual(['f']);
    }
  });

  test('tables of switches in one section are told apart by the code they lead to', () => {
    const source = (other: string): string => `${HEAD}
int before(int k) { ${other} return k; }
int run(int c) { switch (c) { case 0: give(4); give(1); break; case 1: say("a"); break; case 2: give(9); say("b"); break; case 3: say("c"); give(2); break; case 4: give(5); break; case 5: say("d"); break; default: return -1; } return 0; }
int other(int c) { switch (c) { case 10: give(6); break; case 11: give(3); say("e"); break; case 12: say("f"); give(8); break; case 13: give(7); give(7); break; case 14: say("g"); break; case 15: say("h"); break; default: return -2; } return 1; }`;
    for (const mode of [['-fno-pic'], ['-fPIE', '-mcmodel=small', '-fvisibility=hidden', '-mno-red-zone']]) {
      const flags = ['-fjump-tables', '-fcf-protection=none', '-fno-function-sections', '-fno-data-sections', ...mode];
      // Labels move with what grows before them, and so do the words of relative tables, which name places behind their function.
      const { diff } = extractPair(
        compiled(compiler, source(''), ...flags),
        compiled(compiler, source('give(k); if (k > 3) give(k * 3); else say("longer");'), ...flags),
      );
      expect(Object.keys(diff.changed), mode.join(' ')).toEqual(['before']);
    }
  });
});
