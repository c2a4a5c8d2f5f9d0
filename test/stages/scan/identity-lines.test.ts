import { describe, expect, test } from 'vitest';
import { NOTHING, body, call, diffObjects, lea, movEax, near, BODY } from '../../support/diff-objects';
import { code, hex, object, ptr64, ref32, ref64, u32, type ObjectBuilder } from '../../support/elf-builder';

describe('lines', () => {
  const DDEBUG = (line: number, flags: number, format: string): ReturnType<typeof code> =>
    code(
      [
        ptr64({ string: 'mod' }),
        ptr64({ string: 'f' }),
        ptr64({ string: 'x.c' }),
        ptr64({ string: format }),
        u32((line & 0x3ffff) | (flags << 24)),
        u32(0),
      ],
      new Uint8Array(16),
    );

  test('a function whose pr_debug moved is listed as ignored, with class line', () => {
    // The record's static key stands in the jump table: that is how a function is known to own it.
    const build = (line: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('__UNIQUE_ID_ddebug868', DDEBUG(line, 1, 'x'), { section: '__dyndbg', bind: 'local' })
        .func('f', body(hex('90 90 90 90 90')))
        .special('__jump_table', ref32('f', BODY), ref32('f', BODY + 5), ref64('__UNIQUE_ID_ddebug868', 40));
    expect(diffObjects(build(100), build(102))).toMatchObject({ changed: {}, told: [], ignored: { f: 'line' } });
  });

  test('the line of a __dyndbg record does not count, all else does', () => {
    // One line added above a pr_debug changes _ddebug.lineno of everything below (pair line-shift of 6.12).
    const build = (line: number, flags = 1, format = 'x %d\n'): ObjectBuilder =>
      object()
        .file('x.c')
        .data('__UNIQUE_ID_ddebug868', DDEBUG(line, flags, format), { section: '__dyndbg', bind: 'local' })
        .func('f', body(lea('__UNIQUE_ID_ddebug868')));
    const diff = diffObjects(build(100), build(70_000));
    expect(diff.changed).toEqual({});
    expect(diff.told).toEqual([]);
    expect(diff.ignored).toEqual({});
    // Not the line: flags that the record starts with, and the text.
    expect(diffObjects(build(100, 1), build(100, 0)).changed).not.toEqual({});
    expect(diffObjects(build(100), build(100, 1, 'y %d\n')).changed).toHaveProperty('f');
  });

  test("a line in a string after the unit's own file name is ignored", () => {
    // Fortified memcpy holds `... at net/packet/af_packet.c:3738`: two lines added above change packet_getname (6.12).
    const build = (text: string): ObjectBuilder =>
      object()
        .file('af_packet.c')
        .func('packet_getname', body(lea({ string: text })), { bind: 'local' });
    const diff = diffObjects(
      build('buffer overflow at net/packet/af_packet.c:3738'),
      build('buffer overflow at net/packet/af_packet.c:3740'),
    );
    expect(diff.changed).toEqual({});
    expect(diff.ignored).toEqual({ packet_getname: 'line' });
    // Another file's name, another word, another number elsewhere are changes.
    expect(diffObjects(build('at net/other.c:3738'), build('at net/other.c:3740')).changed).toEqual({
      packet_getname: 'reference',
    });
    expect(diffObjects(build('at af_packet.c:3738'), build('At af_packet.c:3738')).changed).toEqual({
      packet_getname: 'reference',
    });
    expect(diffObjects(build('af_packet.c:1 limit 10'), build('af_packet.c:1 limit 20')).changed).toEqual({
      packet_getname: 'reference',
    });
  });

  test('a line in a string of a global function is ignored too', () => {
    // The same literal in a function that is not static: every such function is patched in every pair.
    const build = (line: number): ObjectBuilder =>
      object()
        .file('af_packet.c')
        .func('helper', hex('c3'), { bind: 'local' })
        .func('packet_sendmsg', body(lea({ string: `overflow at net/packet/af_packet.c:${line}` })));
    expect(diffObjects(build(3738), build(3740)).changed).toEqual({});
  });

  const report = (line: number, callee: string, between: ReturnType<typeof code> = []): ObjectBuilder =>
    object()
      .file('x.c')
      .func('f', body([0xbe, u32(line)], between, call(callee)));

  test('a line number given to a reporting call is ignored', () => {
    // mov $__LINE__,%esi before __might_sleep: an added line would patch every function below it.
    const diff = diffObjects(report(100, '__might_sleep'), report(102, '__might_sleep'));
    expect(diff.changed).toEqual({});
    expect(diff.ignored).toEqual({ f: 'line' });
  });

  test('a number given to any other call counts', () => {
    // The same instruction is the second argument of every function.
    expect(diffObjects(report(100, 'set_timeout'), report(102, 'set_timeout')).changed).toEqual({ f: 'code' });
    const further = (value: number): ObjectBuilder => report(value, '__might_sleep', code(call('set_timeout')));
    expect(diffObjects(further(100), further(102)).changed).toEqual({ f: 'code' });
  });

  for (const [what, between] of [
    ['an indirect call', hex('ff d0')],
    ['a return', hex('c3')],
  ] as const) {
    test(`a number that ${what} takes before the reporting call counts`, () => {
      // ops->set(x, 100) followed by a might_sleep(): the argument of an indirect call is taken for a line number and the
      // fix is not in the livepatch.
      expect(
        diffObjects(report(100, '__might_sleep', code(between)), report(102, '__might_sleep', code(between))).changed,
      ).toEqual({ f: 'code' });
    });
  }

  test('a number that a direct call without relocation takes counts', () => {
    // As above, within a section of several functions.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body([0xbe, u32(value)], near(0xe8, 0x40 - BODY - 10), call('__might_sleep')), {
          section: '.noinstr.text',
          at: 0,
        })
        .func('set', body(movEax(1)), { section: '.noinstr.text', at: 0x40 });
    expect(diffObjects(build(100), build(102)).changed).toEqual({ f: 'code' });
  });

  test('a number that is printed counts', () => {
    // pr_info("timeout %d\n", 30) made 60: nothing proves that it is a line.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body([0xbe, u32(value)], lea({ string: 'timeout %d\n' }), call('_printk')));
    expect(diffObjects(build(30), build(60)).changed).toEqual({ f: 'code' });
  });

  test('an alloc_tag that differs in its line is ignored', () => {
    // CONFIG_MEM_ALLOC_PROFILING: struct codetag { u32 flags; u32 lineno; modname; function; filename } at every allocation.
    // One added line is refused as changed data in every function below.
    const build = (line: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data(
          '_alloc_tag.7',
          [
            u32(0),
            u32(line),
            ptr64({ string: 'mod' }),
            ptr64({ string: 'f' }),
            ptr64({ string: 'x.c' }),
            ptr64('__percpu_counter'),
          ],
          { section: 'alloc_tags', bind: 'local' },
        )
        .bss('__percpu_counter', 8)
        .func('f', body(lea('_alloc_tag.7')));
    expect(diffObjects(build(100), build(102)).told).toEqual([]);
  });

  test('numbering of initcalls does not count', () => {
    // __initcall__kmod_x__490_37_init6 becomes _490_41_ when four lines are added above (676 of them in 7.2).
    const build = (line: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('init', hex('c3'), { section: '.init.text', bind: 'local' })
        .data(`__initcall__kmod_x__490_${line}_init6`, [ptr64('init')], { section: '.initcall6.init', bind: 'local' });
    expect(diffObjects(build(37), build(41))).toMatchObject(NOTHING);
  });

  test('renumbered empty lock keys do not count', () => {
    // A new static key shifts .bss.__key.412 to .414 for copy_process, mm_init, vm_area_dup, sighand_ctor (6.12).
    const build = (number: number): ObjectBuilder =>
      object()
        .file('fork.c')
        .bss(`__key.${number}`, 0, { bind: 'local' })
        .func('copy_process', body(lea({ section: `.bss.__key.${number}` })))
        .func('mm_init', body(lea(`__key.${number}`)));
    expect(diffObjects(build(412), build(414))).toMatchObject(NOTHING);
  });
});
