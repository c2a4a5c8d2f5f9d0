/**
 * When a number that a function loads is a source line, which does not count. Every rule guards against the same silent failure: a
 * value that the patch changed is taken for a line, nothing is changed, and the livepatch lacks it.
 */
import { describe, expect, test } from 'vitest';
import { BODY, body, call, diffObjects, lea } from '../../support/diff-objects';
import { disp32, object, ref32, u16, u32, type Body, type ObjectBuilder, type Target } from '../../support/elf-builder';

/** `lea target(%rip), %rsi` and `%rdx`; `mov $value, %esi` and its kin, by the argument's number. */
const leaSecond = (target: Target): Body => [0x48, 0x8d, 0x35, disp32(target)];
const load = (argument: 2 | 3 | 4, value: number): Body => [{ 2: 0xbe, 3: 0xba, 4: 0xb9 }[argument], u32(value)];

/** f prints: format, name, number. */
const prints = (format: string, name: string, value: number, callee = '_printk'): ObjectBuilder =>
  object()
    .file('x.c')
    .func('f', body(load(3, value), leaSecond({ string: name }), lea({ string: format }), call(callee)));
const changed = (build: (line: number) => ObjectBuilder, by = 2): Record<string, string> =>
  diffObjects(build(100), build(100 + by)).changed;

describe('a printed number', () => {
  test.each(['%s:%d bad\n', '%s:%u: bad\n', 'at %s(%d)\n', '%s, line %d\n', '%s line %i\n', '%%%s:%d\n'])(
    'in %j behind the file name is a line',
    (format) => {
      const diff = diffObjects(prints(format, 'net/x.c', 100), prints(format, 'net/x.c', 102));
      expect(diff).toMatchObject({ changed: {}, ignored: { f: 'line' } });
    },
  );

  // `timeout is 100 ms` became 200, and f counted as unchanged.
  test.each([
    '%s: timeout is %d ms\n',
    '%s: only %d of them\n',
    '%s: %d\n',
    '%s %d\n',
    '%s/%d\n',
    '%d: %s:%d\n',
    '%s:%s:%d\n',
    '%s:%x\n',
    '%p:%d\n',
    '%*s:%d\n',
    'no number',
  ])('in %j is none', (format) => {
    expect(changed((value) => prints(format, 'net/x.c', value))).toEqual({ f: 'code' });
  });

  test('behind another name is none', () => {
    expect(changed((value) => prints('%s:%d\n', 'eth0', value))).toEqual({ f: 'code' });
    expect(changed((value) => prints('%s:%d\n', 'other.c', value))).toEqual({ f: 'code' });
  });

  test("behind the function's own name is a line", () => {
    expect(changed((value) => prints('%s:%d\n', 'f', value))).toEqual({});
  });

  test('behind another argument than the name is none', () => {
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func(
          'f',
          body(
            load(4, value),
            load(3, 7),
            leaSecond({ string: 'x.c' }),
            lea({ string: '%s:%d %d\n' }),
            call('_printk'),
          ),
        );
    expect(changed(build)).toEqual({ f: 'code' });
  });

  // ASSERT_RTNL: "RTNL: assertion failed at %s (%d)", with an entry of __bug_table that holds the same line.
  describe('that the format does not call a line', () => {
    const asserts = (value: number, line: number): ObjectBuilder =>
      prints('RTNL: assertion failed at %s (%d)\n', 'net/x.c', value, '__warn_printk').special(
        '__bug_table',
        ref32('f', BODY),
        ref32({ string: 'net/x.c' }),
        u16(line),
        u16(1),
      );
    test("is one where the function's own bug entry holds the same lines", () => {
      expect(diffObjects(asserts(100, 100), asserts(102, 102))).toMatchObject({ changed: {}, ignored: { f: 'line' } });
    });
    test.each([
      [100, 100],
      [100, 102],
      [90, 92],
    ])('is none where that holds others: %d, %d', (orig, patched) => {
      expect(diffObjects(asserts(100, orig), asserts(103, patched)).changed).toEqual({ f: 'code' });
    });
  });
});

describe('a number given to a function', () => {
  const listed: Array<[callee: string, argument: 2 | 3 | 4]> = [
    ['__might_sleep', 2],
    ['__might_resched', 2],
    ['__cant_sleep', 2],
    ['__ext4_std_error', 3],
    ['__btrfs_abort_transaction', 3],
    ['assfail', 4],
  ];
  test.each(listed)('that takes nothing but a line (%s) is one, as that argument alone', (callee, argument) => {
    const build =
      (which: 2 | 3 | 4) =>
      (line: number): ObjectBuilder =>
        object()
          .file('x.c')
          .func('f', body(load(which, line), call(callee)));
    expect(changed(build(argument))).toEqual({});
    expect(changed(build(argument === 2 ? 3 : 2))).toEqual({ f: 'code' });
  });

  /** Functions that call `__might_sleep` at two lines, and one that hands its name and a number to `report`. */
  const unit = (first: number, value: number, last: number, name = 'f'): ObjectBuilder =>
    object()
      .file('x.c')
      .func('before', body(load(2, first), call('__might_sleep')))
      .func('behind', body(load(2, last), call('__might_sleep')))
      .func('f', body(load(2, value), lea({ string: name }), call('report')));
  test("behind the function's name is a line where others of the unit, before and behind it, moved as far", () => {
    expect(diffObjects(unit(10, 20, 30), unit(14, 24, 34))).toMatchObject({ changed: {}, ignored: { f: 'line' } });
  });
  test.each<[what: string, orig: [number, number, number, string?], patched: [number, number, number, string?]]>([
    ['those moved less', [10, 20, 30], [11, 24, 31]],
    ['the one behind it moved further', [10, 20, 30], [14, 24, 36]],
    ['none is behind it', [10, 40, 30], [14, 44, 34]],
    ['none is before it', [10, 4, 30], [14, 8, 34]],
    ['no name stands before it', [10, 20, 30, 'limit'], [14, 24, 34, 'limit']],
  ])('is none where %s', (_, orig, patched) => {
    expect(diffObjects(unit(...orig), unit(...patched)).changed).toEqual({ f: 'code' });
  });
});

// What is ignored can be looked at: `explain` prints the first difference of a verdict.
test('functions that are ignored have a first difference', () => {
  const build = (line: number): ObjectBuilder =>
    object()
      .file('x.c')
      .func('f', body(load(2, line), call('__might_sleep')))
      .func('neighbour', body(...(line > 100 ? [0x90, 0x90] : [])), { section: '.text' })
      .func('g', [0xe9, { width: 4, value: 0x100 - (line > 100 ? 2 : 0) }], { section: '.text' })
      .func('h', body(), { section: '.text', at: 0x120 });
  const { verdicts, orig } = diffObjects(build(100), build(102));
  for (const { orig: symbol, status, first } of verdicts)
    if (status === 'ignored') expect(first, orig.name(symbol)).not.toBeNull();
  expect(verdicts.some(({ status }) => status === 'ignored')).toBe(true);
});
