/** Variables that one build has whole and the other in pieces: whichever is new would start with the source's value. */
import { describe, expect, test } from 'vitest';
import { body, diffObjects, inc, movEax } from '../../support/diff-objects';
import { object, type ObjectBuilder } from '../../support/elf-builder';

const LOCAL = { bind: 'local' } as const;
type Variable = readonly [name: string, size: number];

/** `first` counts in its variables, `second` in its own. */
const counting = (value: number, first: Variable[], second: Variable[]): ObjectBuilder => {
  const b = object().file('a.c');
  for (const [name, size] of [...first, ...second]) b.bss(name, size, LOCAL);
  return b
    .func('first', body(movEax(value), ...first.map(([name]) => inc(name))))
    .func('second', body(movEax(value), ...second.map(([name]) => inc(name))));
};
/** What `first` used in ORIG `second` uses in PATCHED, so that nothing tells that one became the other. */
const told = (orig: Variable[], patched: Variable[]): string[] =>
  diffObjects(counting(1, orig, []), counting(2, [], patched)).diagnostics.map(
    ({ code, message }) => `${code}: ${message}`,
  );

describe('a variable that is new in PATCHED', () => {
  // Clang keeps `tab[3]` as tab.0, tab.1, tab.2 until somebody indexes it: the counts of the running kernel would be lost.
  test('is refused where ORIG has pieces of it', () => {
    expect(
      told(
        [
          ['tab.0', 4],
          ['tab.1', 4],
        ],
        [['tab', 12]],
      ),
    ).toEqual([
      expect.stringMatching(/^ambiguous-data: tab counts as new and would start anew: ORIG has tab\.\d, a piece/),
    ]);
  });

  test('is refused where it is a piece of one that ORIG has whole', () => {
    expect(
      told(
        [['tab', 12]],
        [
          ['tab.0', 4],
          ['tab.1', 4],
        ],
      ),
    ).toEqual([
      expect.stringMatching(/^ambiguous-data: tab\.0 counts as new .* a piece of tab, which ORIG has whole/),
      expect.stringMatching(/^ambiguous-data: tab\.1 counts as new/),
    ]);
  });

  test('is a new one where nothing of that name is gone', () => {
    expect(told([['other', 4]], [['tab', 12]])).toEqual([]);
  });

  // `tab.0` of that size is another function's `tab`, not a piece: it starts anew, which is told and not refused.
  test('is no piece of what is no larger', () => {
    expect(told([['tab', 4]], [['tab.0', 4]])).toEqual([
      expect.stringMatching(/^new-static-local: tab\.0 counts as new and starts anew/),
    ]);
  });

  test('of another unit has nothing to do with it', () => {
    const build = (value: number, ...[name, size]: Variable): ObjectBuilder =>
      object()
        .file('a.c')
        .bss(name, size, LOCAL)
        .func('f', body(movEax(value), inc(name)));
    const elsewhere = build(2, 'left', 4)
      .file('b.c')
      .bss('tab', 12, LOCAL)
      .func('g', body(inc('tab')));
    const orig = build(1, 'tab.0', 4)
      .file('b.c')
      .func('g', body(movEax(1)));
    expect(diffObjects(orig, elsewhere).told.filter((text) => text.startsWith('ambiguous-data'))).toEqual([]);
  });
});
