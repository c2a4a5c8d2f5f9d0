/** Pieces of functions that no name tells: code that jumps into a function's middle is a part of it, or changes with it. */
import { describe, expect, test } from 'vitest';
import { BODY, body, call, movEax } from '../../support/diff-objects';
import { code, object, plt32, type Body, type ObjectBuilder } from '../../support/elf-builder';
import { extractObjects, type Extracted } from '../../support/extract-objects';

const jmp = (target: string, plus = 0): Body => [0xe9, plt32(target, plus)];
/** `jl target` */
const jl = (target: string): Body => [0x0f, 0x8c, plt32(target)];
/** Where `f` goes on behind its jump to the piece. */
const BACK = BODY + 6;

interface Values {
  hot?: number;
  piece?: number;
}
/** `f` jumps to `rest`, which comes back into its middle, as blocks of -fbasic-block-sections do. */
const build = ({ hot = 1, piece = 1 }: Values, more: (b: ObjectBuilder) => ObjectBuilder = (b) => b): ObjectBuilder =>
  more(
    object()
      .file('a.c')
      .undef('helper')
      .func('f', body(jl('rest'), movEax(hot)))
      .func('rest', code(call('helper'), movEax(piece), jmp('f', BACK)), { bind: 'local' }),
  );
const extracted = (orig: ObjectBuilder, patched: ObjectBuilder): Extracted =>
  extractObjects(orig, patched, { exports: ['__x86_return_thunk', '__fentry__', 'helper'] });

describe('a piece of whatever name', () => {
  // The new hot part went on in the running kernel's piece, which came back into the middle of the old function.
  test.each([
    ['the function', { hot: 2 }],
    ['the piece', { piece: 2 }],
    ['both', { hot: 2, piece: 2 }],
  ])('goes with its function where %s changed', (_, values) => {
    const made = extracted(build({}), build(values));
    expect(made.told).toEqual([]);
    expect(Object.keys(made.diff.changed)).toEqual(['f']);
    expect(made.diff).toMatchObject({ added: [], carried: {} });
    expect(made.funcs).toEqual(['f,0>f']);
    expect(made.defined).toContain('rest');
    expect(made.klpSymbols.map(({ name }) => name)).toEqual(['f']);
    expect(made.relas('rest').at(-1)).toMatch(new RegExp(`PLT32 f\\+${BACK - 4}$`));
  });

  test('is none that only PATCHED has', () => {
    const without = object()
      .file('a.c')
      .undef('helper')
      .func('f', body(movEax(1)));
    const made = extracted(without, build({}));
    expect({ told: made.told, added: made.diff.added, funcs: made.funcs }).toEqual({
      told: [],
      added: [],
      funcs: ['f,0>f'],
    });
    expect(made.defined).toContain('rest');
  });

  test('of a piece belongs to the same function', () => {
    const chained = (hot: number): ObjectBuilder =>
      object()
        .file('a.c')
        .func('f', body(jl('rest'), movEax(hot)))
        .func('rest', code(movEax(3), jmp('last'), jmp('f', BACK)), { bind: 'local' })
        .func('last', code(movEax(4), jmp('rest', 5 + 5)), { bind: 'local' });
    const made = extracted(chained(1), chained(2));
    expect(made.told).toEqual([]);
    expect(made.klpSymbols.map(({ name }) => name)).toEqual(['f']);
    expect(made.defined).toEqual(expect.arrayContaining(['f', 'last', 'rest']));
  });
});

describe('a function that shares the tail of another one', () => {
  const shared = (value: number, more: Body = []): ObjectBuilder =>
    object()
      .file('a.c')
      .func('f', body(movEax(7), movEax(value)))
      .func('g', code(body(movEax(8)).slice(0, -1) as Body, jmp('f', BODY + 5)))
      .func('other', body(call('g'), more));

  // `g` runs the tail as much as `f` does; redirecting f alone patches half of it.
  test('changes with it', () => {
    const made = extracted(shared(1), shared(2));
    expect(made.told).toEqual([]);
    expect(Object.keys(made.diff.changed).sort()).toEqual(['f', 'g']);
    expect(made.funcs.sort()).toEqual(['f,0>f', 'g,0>g']);
  });

  test('the premise: it is let alone where the tail is the same', () => {
    const made = extracted(shared(1), shared(1, movEax(5)));
    expect(Object.keys(made.diff.changed)).toEqual(['other']);
  });

  test('a piece that others call is a function: they are taken along', () => {
    const used = (hot: number): ObjectBuilder => build({ hot }, (b) => b.func('user', body(call('rest'))));
    const made = extracted(used(1), used(2));
    expect(made.told).toEqual([]);
    expect(made.diff.carried).toEqual({ user: ['rest'] });
  });
});
