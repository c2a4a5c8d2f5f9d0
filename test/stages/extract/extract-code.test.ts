/** Copies of functions: padding, names, cold parts, and what the assembler resolved within a section. */
import { describe, expect, test } from 'vitest';
import { body, call, lea, movEax, near, traced } from '../../support/diff-objects';
import {
  ENDBR,
  FENTRY_SITE,
  RETURN,
  code,
  hex,
  object,
  plt32,
  u32,
  type ObjectBuilder,
} from '../../support/elf-builder';
import { extractObjects } from '../../support/extract-objects';

const LOCAL = { bind: 'local' } as const;
const EXPORTS = { exports: ['__x86_return_thunk'] };
const NOPS = (count: number): string => '90'.repeat(count);

describe('the padding before a function', () => {
  test.each([16, 32])('stays right before it, %i-aligned', (align) => {
    // Call depth tracking and FineIBT write there: without it they overwrite the end of the function before.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .padded('f', body(movEax(value)), { pad: 16, align })
        .padded('g', body(movEax(value)), { pad: 16, align });
    const made = extractObjects(build(1), build(2), EXPORTS);
    for (const name of ['f', 'g']) {
      const [prefix, function_] = [made.symbol(`__pfx_${name}`), made.symbol(name)];
      expect({ section: prefix.section, end: prefix.value + prefix.size }).toEqual({
        section: function_.section,
        end: function_.value,
      });
      expect(made.hex(`__pfx_${name}`)).toBe(NOPS(16));
      expect(prefix.value % align).toBe(0);
    }
    expect(made.section('.text.f').align).toBe(align);
  });

  test('several functions of one section keep theirs, and gaps are NOPs', () => {
    // By the section's start alone the second function would take the first one along, or lose its padding.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .padded('a', body(movEax(value)), { section: '.text.a', align: 16 })
        .padded('b', body(movEax(9)), { section: '.text.a', at: 64, align: 16 })
        .padded('c', body(movEax(value)), { section: '.text.a', at: 112, align: 16 });
    const made = extractObjects(build(1), build(2), EXPORTS);
    expect(made.defined).toEqual(['__pfx_a', '__pfx_c', 'a', 'c']);
    for (const name of ['a', 'c']) {
      expect(made.symbol(name).value - made.symbol(`__pfx_${name}`).value).toBe(16);
      expect(made.symbol(name).value % 16).toBe(0);
    }
    const gap = made
      .bytes('.text.a')
      .subarray(made.symbol('a').value + made.symbol('a').size, made.symbol('__pfx_c').value);
    expect(gap.every((byte) => byte === 0x90)).toBe(true);
  });

  test("a function whose address is no multiple of its section's alignment keeps its phase", () => {
    // 32-byte aligned sections with 16 bytes of padding: the function at 16, its prefix at 0; a second one at 80.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .padded('a', body(movEax(7)), { section: '.text.a', align: 16 })
        .section('.text.a', { align: 32 })
        .padded('b', body(movEax(value)), { section: '.text.a', at: 80, align: 16 });
    const made = extractObjects(build(1), build(2), EXPORTS);
    expect([made.symbol('__pfx_b').value % 32, made.symbol('b').value % 32]).toEqual([0, 16]);
  });

  test('padding that nobody has named yet', () => {
    // Before objtool, GCC's -fpatchable-function-entry=16,16 leaves 16 NOPs without a symbol before the function.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .section('.text.f', { body: hex(NOPS(16)) })
        .func('f', body(movEax(value)), { align: 16 });
    const made = extractObjects(build(1), build(2), EXPORTS);
    expect(made.symbol('f').value).toBe(16);
    expect(Buffer.from(made.bytes('.text.f').subarray(0, 16)).toString('hex')).toBe(NOPS(16));
  });

  test('code before a function that is no padding stays behind', () => {
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .section('.text.f', { body: hex('c3cccccccccccccccccccccccccccccc') })
        .func('f', body(movEax(value)), { align: 16 });
    expect(extractObjects(build(1), build(2), EXPORTS).symbol('f').value).toBe(0);
  });
});

describe('names', () => {
  test('aliases: one body, all names, one replaced function', () => {
    // Cloned twice, the two names run different copies of one static variable; a klp_func for each redirects one address twice.
    const build = (value: number): ObjectBuilder =>
      traced(
        object()
          .file('x.c')
          .func('__se_sys_getpid', body(movEax(value)))
          .alias('__x64_sys_getpid', '__se_sys_getpid')
          .alias('sys_getpid', '__se_sys_getpid'),
        '__se_sys_getpid',
      );
    const made = extractObjects(build(1), build(2), EXPORTS);
    expect(made.defined).toEqual(['__se_sys_getpid', '__x64_sys_getpid', 'sys_getpid']);
    expect(new Set(made.defined.map((name) => made.symbol(name).value)).size).toBe(1);
    expect(made.sections['.text.__se_sys_getpid']).toBe(made.symbol('sys_getpid').size);
    expect(made.funcs.length).toBe(1);
    expect(made.funcs[0]).toMatch(/^__se_sys_getpid,0>/);
  });

  test('a hidden function is reached by position like a local', () => {
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('helper', body(), { other: 2 })
        .func('f', body(movEax(value), call('helper')));
    expect(extractObjects(build(1), build(2), EXPORTS).relas('f')[0]).toBe('+0xf klp PLT32 vmlinux.helper,0-4');
  });

  test('a renamed twin is replaced under its old name', () => {
    // LTO's hash changes with the unit: the kernel knows only ORIG's.
    const made = extractObjects(
      object()
        .file('x.c')
        .func('f.llvm.111', body(movEax(1))),
      object()
        .file('x.c')
        .func('f.llvm.222', body(movEax(2))),
      EXPORTS,
    );
    expect(made.funcs).toEqual(['f.llvm.111,0>f.llvm.222']);
  });
});

describe('parts', () => {
  test('a cold part comes along and is no function of its own', () => {
    // Left behind, the copy jumps into the old cold part; listed, enabling the patch fails, as the part has no ftrace site.
    const build = (value: number): ObjectBuilder =>
      traced(
        object()
          .file('x.c')
          .func('f', body(movEax(value), [0x0f, 0x84, plt32('f.cold')]))
          .func('f.cold', code(movEax(3), [0xe9, plt32('f', 4)]), { ...LOCAL, section: '.text.unlikely.f' }),
        'f',
      );
    const made = extractObjects(build(1), build(2), EXPORTS);
    expect(made.defined).toEqual(['f', 'f.cold']);
    expect(made.funcs).toEqual(['f,0>f']);
    expect(made.relas('f')[0]).toBe('+0x10 PLT32 f.cold-4');
    expect(made.relas('f.cold')).toEqual(['+0x6 PLT32 f']);
  });

  test('callers of a function without an ftrace site', () => {
    // A klp_func for the callee fails the whole patch ("failed to find location"); without the caller nothing runs the new body.
    const build = (value: number): ObjectBuilder =>
      traced(
        object()
          .file('x.c')
          .func('inline_copy', code(ENDBR, movEax(value), RETURN), LOCAL)
          .func('top', body(call('inline_copy')))
          .func('other', body()),
        'top',
        'other',
      );
    const made = extractObjects(build(1), build(2), EXPORTS);
    expect(made.told).toEqual([]);
    expect(made.funcs).toEqual(['top,0>top']);
    expect(made.defined).toEqual(['inline_copy', 'top']);
    expect(made.relas('top')[0]).toBe('+0xa PLT32 inline_copy-4');
    expect(made.hex('inline_copy')).toContain('b802000000');
  });
});

describe('what the assembler resolved within a section', () => {
  /** `.noinstr.text` holds f and a local helper 0x40 behind it; f ends with `branch`, `f` itself is 17 bytes up to there. */
  const build = (value: number, branch: ReturnType<typeof near>, extra: ReturnType<typeof near> = []): ObjectBuilder =>
    object()
      .file('entry.c')
      .func('f', code(ENDBR, FENTRY_SITE, movEax(value), branch, extra, hex('c3')), { section: '.noinstr.text', at: 0 })
      .func('helper', code(ENDBR, hex('c3')), { section: '.noinstr.text', at: 0x40, ...LOCAL });

  test('a call of a neighbour gets a relocation', () => {
    // The bytes hold a distance within ORIG's section: copied, the call lands in the middle of whatever is there.
    const made = extractObjects(build(1, near(0xe8, 0x40 - 19)), build(2, near(0xe8, 0x40 - 19)), EXPORTS);
    expect(made.told).toEqual([]);
    expect(made.relas('f')).toEqual(['+0xf klp PLT32 vmlinux.helper,0-4']);
    expect(made.hex('f').slice(28, 38)).toBe('e800000000');
  });

  test('... to the copy where the neighbour is one', () => {
    const both = (value: number): ObjectBuilder =>
      object()
        .file('entry.c')
        .func('f', code(ENDBR, FENTRY_SITE, movEax(value), near(0xe9, 0x48 - 19)), { section: '.noinstr.text', at: 0 })
        .func('helper', code(ENDBR, movEax(value), hex('c3')), { section: '.noinstr.text', at: 0x40, ...LOCAL });
    expect(extractObjects(both(1), both(2), EXPORTS).relas('f')).toEqual(['+0xf PLT32 helper+4']);
  });

  test('branches within the function stay as they are', () => {
    const made = extractObjects(build(1, hex2('74 00')), build(2, hex2('74 00')), EXPORTS);
    expect(made.relas('f')).toEqual([]);
    expect(made.hex('f')).toContain('7400c3');
  });

  test('a branch that no relocation can stand for is refused', () => {
    // `je helper` in two bytes.
    const made = extractObjects(
      build(1, hex2(`74 ${(0x40 - 16).toString(16)}`)),
      build(2, hex2(`74 ${(0x40 - 16).toString(16)}`)),
      EXPORTS,
    );
    expect(made.told).toEqual(['unresolved-reference .noinstr.text+0x40']);
  });

  test('an address that is taken within the section is refused', () => {
    // lea helper(%rip), %rdi.
    const take = code([0x48, 0x8d, 0x3d, u32(0x40 - 21)]);
    expect(extractObjects(build(1, take), build(2, take), EXPORTS).told).toEqual([
      'unresolved-reference .noinstr.text+0x40',
    ]);
  });

  test('a relocated operand is no such thing', () => {
    const made = extractObjects(build(1, code(lea('helper'))), build(2, code(lea('helper'))), EXPORTS);
    expect(made.relas('f')).toEqual(['+0x11 klp PC32 vmlinux.helper,0-4']);
  });

  test('code that runs on into the next function is refused', () => {
    // `SYM_FUNC_START(a) ... SYM_FUNC_START(b)` without a return between them: the copy would run into what lies behind it.
    const falls = (value: number, end: string): ObjectBuilder =>
      object()
        .file('entry.S')
        .func('a', code(ENDBR, FENTRY_SITE, movEax(value), hex(end)), { section: '.entry.text', at: 0, align: 1 })
        .func('b', code(ENDBR, hex('c3')), { section: '.entry.text', at: 0x20 });
    expect(extractObjects(falls(1, '90'), falls(2, '90'), EXPORTS).told).toEqual([
      'unresolved-reference .entry.text+0x20',
    ]);
    // Premise: the same with a return.
    expect(extractObjects(falls(1, 'c3'), falls(2, 'c3'), EXPORTS).told).toEqual([]);
  });
});

function hex2(digits: string): ReturnType<typeof near> {
  return code(...hex(digits));
}
