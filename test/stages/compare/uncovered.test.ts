/**
 * Bytes that no sized symbol covers: assembly without `.size`, tables without names, code behind a function's end. They were never
 * compared: a change there counted as none, and the livepatch lacked it.
 */
import { describe, expect, test } from 'vitest';
import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, STT_FUNC, STT_NOTYPE } from '../../../src/elf/constants';
import { BODY, NOTHING, body, call, diffObjects, lea, movEax, near, traced } from '../../support/diff-objects';
import { extractObjects } from '../../support/extract-objects';
import {
  code,
  disp32,
  hex,
  object,
  ptr64,
  ref32,
  u16,
  u32,
  type Body,
  type ObjectBuilder,
} from '../../support/elf-builder';

const CODE = SHF_ALLOC | SHF_EXECINSTR;
/** A section's bytes, with labels that have no size. */
const bytes = (
  builder: ObjectBuilder,
  section: string,
  flags: number,
  content: Body,
  labels: Record<string, number> = {},
): ObjectBuilder => {
  builder.section(section, { flags, align: 16, body: content });
  for (const [name, at] of Object.entries(labels))
    builder.symbol(name, { section, type: STT_NOTYPE, bind: 'global', at, size: 0 });
  return builder;
};
const unit = (): ObjectBuilder =>
  traced(
    object()
      .file('x.c')
      .func('f', body(movEax(1))),
    'f',
  );
const told = (orig: ObjectBuilder, patched: ObjectBuilder): string[] => diffObjects(orig, patched).told;

describe('data', () => {
  const table = (...values: number[]) => code(...values.map((value) => u32(value)));

  test.each([
    ['.data', SHF_ALLOC | SHF_WRITE],
    ['.rodata', SHF_ALLOC],
    ['my_table', SHF_ALLOC],
  ])('with a label in %s: changed data', (section, flags) => {
    const build = (value: number): ObjectBuilder =>
      bytes(unit(), section, flags, table(1, value, 3), { asmtab: 0, asmtab2: 4 });
    expect(told(build(2), build(4))).toEqual(['changed-data asmtab2']);
    expect(diffObjects(build(2), build(2))).toMatchObject(NOTHING);
  });

  test('zeros that have a label count, from and to', () => {
    const build = (value: number): ObjectBuilder =>
      bytes(unit(), '.data', SHF_ALLOC | SHF_WRITE, table(0, value), { asmtab: 4 });
    expect(told(build(0), build(4))).toEqual(['changed-data asmtab']);
    expect(told(build(4), build(0))).toEqual(['changed-data asmtab']);
  });

  test('labels that change places over equal bytes are a change', () => {
    const build = (a: number, b: number): ObjectBuilder =>
      bytes(unit(), '.data', SHF_ALLOC | SHF_WRITE, table(1, 2), { a, b });
    expect(told(build(0, 4), build(4, 0))).toEqual(['changed-data a']);
  });

  // A table that assembly fills and code walks through from __start_ to __stop_.
  test("without a label, in a section of its own: changed data, by the section's name", () => {
    const build = (value: number): ObjectBuilder => bytes(unit(), 'my_table', SHF_ALLOC, table(1, value, 3));
    expect(told(build(2), build(4))).toEqual(['changed-data my_table']);
  });

  test('what it refers to counts, not where that stands', () => {
    const build = (target: string, first: number): ObjectBuilder =>
      bytes(
        unit()
          .data(
            'before',
            Array.from({ length: first }, () => u32(7)),
            { section: '.data.x' },
          )
          .data('a', [u32(1)], { section: '.data.x' })
          .data('b', [u32(1)], { section: '.data.x' }),
        'my_table',
        SHF_ALLOC,
        [ptr64(target)],
      );
    expect(told(build('a', 1), build('b', 1))).toEqual(['changed-data my_table']);
    expect(told(build('a', 1), build('a', 1))).toEqual([]);
  });

  test('a table that gained entries is told, and refused where it has a name or included code reads it', () => {
    const build = (more: boolean, labels = {}): ObjectBuilder =>
      bytes(unit(), 'my_table', SHF_ALLOC, more ? table(1, 9, 3) : table(1, 3), labels);
    const { told: all, diagnostics } = diffObjects(build(false), build(true));
    expect([all, diagnostics.map(({ severity }) => severity)]).toEqual([['uncovered-bytes my_table'], ['warning']]);
    expect(told(build(false, { asmtab: 0 }), build(true, { asmtab: 0 }))).toEqual(['changed-data asmtab']);
  });

  // .rodata counts by who refers to it: those are compared with it.
  test("nameless read-only data that a function reads is that function's change", () => {
    const build = (value: number): ObjectBuilder =>
      bytes(unit(), '.rodata', SHF_ALLOC, table(value, 2, 3)).func('reader', body(lea({ section: '.rodata' })));
    expect(diffObjects(build(1), build(9))).toMatchObject({ changed: { reader: 'table' } });
    expect(told(build(1), build(9)).filter((one) => one.includes('rodata'))).toEqual([]);
  });

  test('nameless read-only data that nothing refers to is told', () => {
    const build = (value: number): ObjectBuilder =>
      bytes(unit(), '.rodata', SHF_ALLOC, table(value, 2, 3, 4)).func('reader', body(lea({ section: '.rodata' }, 8)));
    expect(diffObjects(build(1), build(9))).toMatchObject({ changed: {}, told: ['uncovered-bytes .rodata'] });
  });

  test('of init: refused as such, but for the archive of the first file system, which holds the time of the build', () => {
    const build = (section: string, value: number): ObjectBuilder =>
      bytes(unit(), section, SHF_ALLOC, table(1, value), {});
    expect(told(build('.init.rodata', 1), build('.init.rodata', 2))).toEqual(['init-change .init.rodata']);
    expect(told(build('.init.ramfs', 1), build('.init.ramfs', 2))).toEqual(['uncovered-bytes .init.ramfs']);
  });

  // Lines in names: `__initstub__kmod_x__312_2005_f6` of an LTO kernel moves with any edit above it.
  test('numbers of __COUNTER__ and __LINE__ in the names that a table holds say nothing', () => {
    const build = (line: number): ObjectBuilder =>
      bytes(
        unit().func(`__initstub__kmod_x__312_${line}_f6`, hex('c3'), { section: '.init.text', bind: 'local' }),
        '.initcall6.init',
        SHF_ALLOC,
        [ref32(`__initstub__kmod_x__312_${line}_f6`)],
      );
    expect(told(build(2005), build(2007))).toEqual([]);
  });
});

describe('code', () => {
  const ret = (value: number): Body => code(movEax(value), 0xc3);

  test('without a size: refused by its name', () => {
    const build = (value: number): ObjectBuilder => bytes(unit(), '.text.asm', CODE, ret(value), { raw_entry: 0 });
    expect(told(build(2), build(3))).toEqual(['unsized-code raw_entry']);
  });

  test("behind a function that reads it, in the function's section: refused", () => {
    const build = (value: number): ObjectBuilder =>
      unit()
        .section('.text.asm', {
          flags: CODE,
          align: 16,
          body: code([0x8b, 5, { width: 4, value: 1 }, 0xc3], u32(value)),
        })
        .symbol('reader', { section: '.text.asm', type: STT_NOTYPE, bind: 'global', at: 0, size: 7 });
    expect(told(build(0x1234), build(0x5678))).toEqual(['unsized-code .text.asm']);
  });

  // Its first byte is a prefix of long NOPs: with the zeros behind it, it counted as filling, and so as none.
  test.each([
    [0x2d, 0x2e],
    [0x2e, 0x66],
    [0x90, 0x2d],
    [0, 0x2e],
  ])('a number that looks like filling in one build (%i, then %i) counts', (from, to) => {
    const build = (value: number): ObjectBuilder =>
      unit()
        .section('.text.asm', {
          flags: CODE,
          align: 16,
          body: code([0x8b, 5, { width: 4, value: 1 }, 0xc3], u32(value)),
        })
        .symbol('reader', { section: '.text.asm', type: STT_NOTYPE, bind: 'global', at: 0, size: 7 });
    expect(told(build(from), build(to))).toEqual(['unsized-code .text.asm']);
    expect(told(build(to), build(from))).toEqual(['unsized-code .text.asm']);
    expect(diffObjects(build(to), build(to))).toMatchObject(NOTHING);
  });

  // GCC leaves the bodies of weak functions that another unit overrides, without a symbol (610 in Debian's 6.12).
  test('that nothing refers to is told', () => {
    const build = (value: number): ObjectBuilder =>
      unit()
        .section('.text.weak', {
          flags: CODE,
          align: 16,
          body: code(hex('c3'), new Uint8Array(15).fill(0x90), ret(value)),
        })
        .symbol('other', { section: '.text.weak', type: STT_NOTYPE, bind: 'global', at: 0, size: 1 });
    expect(told(build(2), build(3))).toEqual(['uncovered-bytes .text.weak']);
  });

  test('filling between and before functions never counts', () => {
    const build = (...filling: string[]): ObjectBuilder => {
      const builder = unit().section('.text.two', {
        flags: CODE,
        align: 16,
        body: code(hex(filling[0]!), hex('c3'), hex(filling[1]!), hex('c3')),
      });
      const start = hex(filling[0]!).length;
      return builder
        .symbol('one', { section: '.text.two', type: STT_NOTYPE, bind: 'global', at: start, size: 1 })
        .symbol('two', {
          section: '.text.two',
          type: STT_NOTYPE,
          bind: 'global',
          at: start + 1 + hex(filling[1]!).length,
          size: 1,
        });
    };
    const orig = build('90 90 90 90', 'cc cc cc');
    for (const other of [
      ['', '66 2e 0f 1f 84 00 00 00 00 00'],
      ['0f 1f 40 00', '66 66 2e 0f 1f 84 00 00 00 00 00 90'],
      ['00 00 00 00', '0f 1f 80 00 00 00 00 66 90'],
    ])
      expect(diffObjects(orig, build(...other))).toMatchObject(NOTHING);
  });

  test('that only moved, and whose branches go further, is the same', () => {
    // first grows: raw_entry behind it and its call of helper before both move apart.
    const build = (size: number): ObjectBuilder =>
      unit()
        .section('.text', {
          flags: CODE,
          align: 16,
          body: code(hex('c3'), new Uint8Array(size).fill(0xf4), hex('c3'), near(0xe8, -(size + 7)), hex('c3')),
        })
        .symbol('helper', { section: '.text', type: STT_NOTYPE, bind: 'global', at: 0, size: 1 })
        .symbol('first', { section: '.text', type: STT_NOTYPE, bind: 'global', at: 1, size: size + 1 })
        .symbol('raw_entry', { section: '.text', type: STT_NOTYPE, bind: 'global', at: size + 2, size: 0 });
    expect(told(build(16), build(32))).toEqual(['not-traceable first']);
  });

  test("a branch into one of two tails behind the function's end", () => {
    const tails = (to: number): ObjectBuilder =>
      unit()
        .section('.text.asm', { flags: CODE, align: 16, body: code([0x74, to], ret(1), ret(2), ret(3)) })
        .symbol('g', { section: '.text.asm', type: STT_NOTYPE, bind: 'global', at: 0, size: 8 });
    expect(diffObjects(tails(6), tails(12)).changed).toEqual({ g: 'code' });
    expect(diffObjects(tails(6), tails(6)).changed).toEqual({});
  });

  test('data in a function that looks like a branch to nowhere counts by its bytes', () => {
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body([0xeb, 5, 0xe9, u32(value)]));
    expect(diffObjects(build(0x7fff0001), build(0x7fff0002)).changed).toEqual({ f: 'code' });
  });

  // arm64 has the code that alternatives put in at the end of the function's section; .fixup holds what runs after a fault.
  describe('that an entry of a special section leads to goes with its function', () => {
    const build = (own: number, fixup: number): ObjectBuilder => {
      const builder = traced(
        object()
          .file('x.c')
          .func('f', body(movEax(own)))
          .func('g', body(movEax(1))),
        'f',
        'g',
      ).section('.fixup', { flags: CODE, align: 1, body: code(ret(7), ret(fixup)) });
      return builder
        .special('__ex_table', ref32('g', BODY), ref32({ section: '.fixup' }), u32(1))
        .special('__ex_table', ref32('f', BODY), ref32({ section: '.fixup' }, 6), u32(1));
    };
    test('where that is in the livepatch', () => {
      expect(diffObjects(build(1, 8), build(2, 9))).toMatchObject({ changed: { f: 'code' }, told: [] });
    });
    // Refused, every fix of a fixup was, on kernels before 5.16.
    test('and is a change of it where nothing else is', () => {
      expect(diffObjects(build(1, 8), build(1, 9))).toMatchObject({ changed: { f: 'code' }, told: [] });
      const made = extractObjects(build(1, 8), build(1, 9), { exports: ['__x86_return_thunk', '__fentry__'] });
      expect({ told: made.told, funcs: made.funcs }).toEqual({ told: [], funcs: ['f,0>f'] });
      // The copy's entry leads to the copy of the new piece.
      expect(Buffer.from(made.bytes('.fixup')).toString('hex')).toBe('b809000000c3');
      expect(made.relas('__ex_table').map((rela) => rela.replace(/^\S+ /, ''))).toEqual(['PC32 f+9', 'PC32 .fixup']);
    });
  });

  test('a constant before a function', () => {
    const build = (value: number): ObjectBuilder =>
      unit()
        .section('.text.h', {
          flags: CODE,
          align: 16,
          body: code(u32(0), u32(value), [0x8b, 5, { width: 4, value: -10 >>> 0 }, 0xc3]),
        })
        .symbol('h', { section: '.text.h', at: 8, size: 7, type: STT_FUNC, bind: 'global' });
    expect(told(build(0x12345678), build(0x12345679))).toEqual(['unsized-code .text.h']);
    // The same by a relocation that names the function.
    const named = (value: number): ObjectBuilder =>
      unit()
        .section('.text.h', {
          flags: CODE,
          align: 16,
          body: code(u32(0), u32(value), [0x8b, 5, disp32('h', -4), 0xc3]),
        })
        .symbol('h', { section: '.text.h', at: 8, size: 7, type: STT_FUNC, bind: 'global' });
    expect(told(named(0x12345678), named(0x12345679))).toEqual(['unsized-code .text.h']);
  });

  test("kCFI's hash before a function is the function's", () => {
    const build = (hash: number): ObjectBuilder =>
      unit()
        .section('.text.h', {
          flags: CODE,
          align: 16,
          body: code(hex('90 90 90 90 90 90 90 90 90 90 90'), [0xb8, u32(hash)], body()),
        })
        .symbol('__cfi_h', { section: '.text.h', at: 11, size: 5, type: STT_FUNC, bind: 'local' })
        .symbol('h', { section: '.text.h', at: 16, size: 10, type: STT_FUNC, bind: 'global' });
    expect(told(build(1), build(2)).filter((one) => one.includes('text.h'))).toEqual([]);
  });
});

test('a bug entry alone leaves nothing to tell', () => {
  const build = (line: number): ObjectBuilder =>
    unit()
      .func('g', body(call('x')))
      .special('__bug_table', ref32('g', BODY), ref32({ string: 'x.c' }), u16(line), u16(1));
  expect(told(build(1), build(2))).toEqual([]);
});
