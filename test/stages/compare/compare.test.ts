import { describe, expect, test } from 'vitest';
import { STT_NOTYPE } from '../../../src/elf/constants';
import { BODY, NOTHING, body, call, diffObjects, inc, lea, movEax, near } from '../../support/diff-objects';
import { code, disp32, hex, object, plt32, ptr64, u32, type ObjectBuilder } from '../../support/elf-builder';

const LOCAL = { bind: 'local' } as const;

describe('first difference', () => {
  test('says where and what, with names', () => {
    // "changed" alone makes people disassemble both kernels.
    const build = (callee: string, text: string): ObjectBuilder =>
      object()
        .file('x.c')
        .func('old_way', hex('c3'))
        .func('new_way', hex('c3'))
        .func('f', body(movEax(1), lea({ string: text }), call(callee)));
    const other = diffObjects(build('old_way', 'text'), build('new_way', 'text'));
    expect(other.first.f).toMatchObject({
      offset: BODY + 12,
      orig: expect.stringContaining('old_way'),
      patched: expect.stringContaining('new_way'),
    });
    const text = diffObjects(build('old_way', 'text'), build('old_way', 'Text'));
    expect(text.first.f).toMatchObject({
      offset: BODY + 5,
      orig: expect.stringContaining('"text"'),
      patched: expect.stringContaining('"Text"'),
    });
  });

  test('an instruction more', () => {
    // The first one that differs, not the length.
    const build = (...parts: Parameters<typeof body>): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body(...parts));
    const diff = diffObjects(build(movEax(1)), build(movEax(1), movEax(2)));
    expect(diff.changed).toEqual({ f: 'code' });
    expect(diff.first.f!.offset).toBe(BODY + 5);
  });

  test('in data: the eight bytes around it, or the sizes', () => {
    // The report's reader looks for the field.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('table', [u32(0), u32(0), u32(0), u32(value)]);
    expect(diffObjects(build(1), build(2)).object.data.changed[0]!.first).toEqual({
      offset: 12,
      orig: '00 00 00 00 01 00 00 00',
      patched: '00 00 00 00 02 00 00 00',
    });
  });
});

describe('what is no change', () => {
  test('a long text without a file name is told quickly', () => {
    // Sought from every letter, a name costs the square of the text's length: minutes for a firmware blob of 1 MB.
    const build = (letter: string): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body(lea({ string: letter.repeat(200_000) })));
    expect(diffObjects(build('a'), build('b')).changed).toEqual({ f: 'reference' });
  });

  test("padding at a function's end is ignored, with class padding", () => {
    // Some assemblers count the NOPs behind the last instruction into the size; alignment of the neighbour decides how many.
    const build = (...pad: Uint8Array[]): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', code(movEax(1), hex('c3'), ...pad));
    const diff = diffObjects(build(), build(hex('66 2e 0f 1f 84 00 00 00 00 00'), hex('90 90')));
    expect(diff.changed).toEqual({});
    expect(diff.ignored).toEqual({ f: 'padding' });
    expect(diffObjects(build(), build(hex('90 c3'))).changed).toEqual({ f: 'code' });
  });

  test('an instruction that only looks like padding is a change', () => {
    // mov $0x1f,%ax at the end of a function that falls through into its neighbour's code.
    const build = (...tail: Uint8Array[]): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', code(movEax(1), ...tail), { section: '.entry.text' });
    expect(diffObjects(build(), build(hex('66 b8 1f 00'))).changed).toEqual({ f: 'code' });
  });

  test('another section, binding, visibility or order', () => {
    // 95 functions lie in .text.unlikely.*: a section move alone is no change, nor is what the symbol table says of it.
    const one = object()
      .file('x.c')
      .func('f', body(movEax(1)))
      .func('g', body(movEax(2), call('f')));
    const two = object()
      .file('x.c')
      .func('g', body(movEax(2), call('f')), { other: 2 })
      .func('f', body(movEax(1)), { section: '.text.unlikely.f', bind: 'weak' });
    expect(diffObjects(one, two)).toMatchObject(NOTHING);
  });

  test('a jump inside a function whose distance is its own', () => {
    // Short jumps have no relocation and no owner but the function.
    const build = (distance: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', code([0x74, distance], movEax(1), movEax(2), hex('c3')));
    expect(diffObjects(build(5), build(5))).toMatchObject(NOTHING);
    expect(diffObjects(build(5), build(10)).changed).toEqual({ f: 'code' });
  });

  test('a tail jump to a neighbour that moved', () => {
    // jmp rel32 to the first instruction of another function of the section is a call without return.
    const build = (at: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', code(movEax(1), near(0xe9, at - 10)), { section: '.noinstr.text', at: 0 })
        .func('g', body(), { section: '.noinstr.text', at });
    expect(diffObjects(build(0x20), build(0x40))).toMatchObject({ changed: {}, ignored: { f: 'layout' } });
    const into = (plus: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', code(movEax(1), near(0xe9, 0x20 + plus - 10)), { section: '.noinstr.text', at: 0 })
        .func('g', body(), { section: '.noinstr.text', at: 0x20 });
    expect(diffObjects(into(0), into(4)).changed).toEqual({ f: 'code' });
  });

  test('two lines in the strings of one object', () => {
    // A table of `file:line` texts: the first is ignored, two are refused as changed data.
    const build = (line: number): ObjectBuilder =>
      object()
        .file('x.c')
        .rodata('places', [ptr64({ string: `at x.c:${line}` }), ptr64({ string: `in x.c:${line + 5}` })], LOCAL);
    expect(diffObjects(build(10), build(12))).toMatchObject({ told: [], ignored: { places: 'line' } });
  });
});

describe('what is a change', () => {
  test('a call that became a pointer, a pointer that became a call', () => {
    // Same symbol, same offset in the function, another instruction.
    const build = (opcode: number[]): ObjectBuilder =>
      object()
        .file('x.c')
        .func('callee', hex('c3'))
        .func('f', body([...opcode, plt32('callee')]));
    expect(diffObjects(build([0x90, 0xe8]), build([0x90, 0xe9])).changed).toEqual({ f: 'code' });
  });

  test('another distance from the same object', () => {
    // The field of a struct: symbol and bytes are the same, only the addend tells.
    const build = (plus: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('state', new Uint8Array(64))
        .func('f', body(inc('state', plus)));
    expect(diffObjects(build(8), build(16)).changed).toEqual({ f: 'reference' });
  });

  test('an ENDBR more', () => {
    // Taking a static function's address makes the compiler add one: its bytes change, so it is included (10.4).
    const build = (start: Uint8Array): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', code(start, movEax(1), hex('c3')), LOCAL);
    expect(diffObjects(build(hex('')), build(hex('f3 0f 1e fa'))).changed).toEqual({ f: 'code' });
  });

  test('a string where a variable was', () => {
    // Both are section symbols to the file.
    const build = (target: Parameters<typeof lea>[0]): ObjectBuilder =>
      object()
        .file('x.c')
        .string('text')
        .data('state', [u32(1)])
        .func('f', body(lea(target)));
    expect(diffObjects(build({ string: 'text' }), build('state')).changed).toEqual({ f: 'reference' });
  });

  test("an absolute symbol's value", () => {
    // Assembler constants (93 in 7.2) are their value.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('entry.S')
        .abs('stack_offset', value)
        .func('f', body([0x48, 0x8b, 0x05, disp32('stack_offset')]));
    expect(diffObjects(build(8), build(16)).changed).toEqual({ f: 'reference' });
    expect(diffObjects(build(8), build(8).bss('more', 4))).toMatchObject({ changed: {} });
  });

  test('a symbol of another name that is not defined here', () => {
    // A module's imports.
    const build = (name: string): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body(call(name)));
    expect(diffObjects(build('kfree'), build('kvfree')).changed).toEqual({ f: 'reference' });
  });

  test('code of type NOTYPE', () => {
    // 59,430 references of a 7.2 kernel go to NOTYPE code (thunks): a changed one leaves no trace.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('retpoline.S')
        .symbol('__x86_indirect_thunk_rax', {
          section: '.text.thunk',
          type: STT_NOTYPE,
          bind: 'global',
          at: 0,
          size: 6,
        })
        .section('.text.thunk', { body: code([0xb8, u32(value)], hex('c3')) });
    const diff = diffObjects(build(1), build(2));
    expect([...Object.keys(diff.changed), ...diff.told].length).toBeGreaterThan(0);
  });
});

describe('anonymous read-only data', () => {
  const rodata = (values: number[], section = '.rodata'): ObjectBuilder =>
    object()
      .file('x.c')
      .section(section, { body: values.map(u32) });

  test('a neighbour that grew does not change the users of what lies behind', () => {
    // Offsets move, contents do not.
    const build = (before: number[]): ObjectBuilder =>
      rodata([...before, 7, 8])
        .func('f', body(lea({ section: '.rodata' }, before.length * 4)))
        .func('g', body(lea({ section: '.rodata' })));
    expect(diffObjects(build([1, 2]), build([1, 2, 3])).changed).not.toHaveProperty('f');
  });

  test('a section of one compiler-made object counts whole, wherever it is entered', () => {
    // 50 of 106 .rodata..L* sections are referred to at more than one offset: cut there, a change in the middle is missed.
    const build = (last: number): ObjectBuilder =>
      rodata([1, 2, last], '.rodata..L__const.f')
        .func('f', body(lea({ section: '.rodata..L__const.f' })))
        .func('g', body(lea({ section: '.rodata..L__const.f' }, 4)));
    expect(diffObjects(build(3), build(4)).changed).toHaveProperty('g');
    expect(diffObjects(build(3), build(3).bss('more', 4)).changed).toEqual({});
  });

  test('... and the function that enters it at the start is changed too', () => {
    // f copies the whole constant, g reads one field: a change in that field changes f.
    const build = (last: number): ObjectBuilder =>
      rodata([1, 2, last], '.rodata..L__const.f')
        .func('f', body(lea({ section: '.rodata..L__const.f' })))
        .func('g', body(lea({ section: '.rodata..L__const.f' }, 4)));
    expect(diffObjects(build(3), build(4)).changed).toHaveProperty('f');
  });

  for (const section of ['.rodata..L__const.f', '.rodata']) {
    test(`another function of the same name in a table in ${section}`, () => {
      // A digest knows names only: helper.isra.0 and helper.isra.1 are one to it, and the table's user would stay unpatched.
      const build = (target: string): ObjectBuilder =>
        object()
          .file('x.c')
          .func('helper.isra.0', body(movEax(1)), LOCAL)
          .func('helper.isra.1', body(movEax(2)), LOCAL)
          .section(section, { body: [ptr64(target)] })
          .func('f', body(lea({ section })));
      expect(diffObjects(build('helper.isra.0'), build('helper.isra.1')).changed).toEqual({ f: 'table' });
      expect(diffObjects(build('helper.isra.0'), build('helper.isra.0').bss('more', 4)).changed).toEqual({});
    });
  }

  test('pointers within it are followed', () => {
    // A compound literal's function pointer.
    const build = (target: string): ObjectBuilder =>
      object()
        .file('x.c')
        .func('a', hex('c3'))
        .func('b', hex('c3'))
        .section('.rodata..L__const.f', { body: [ptr64(target)] })
        .func('f', body(lea({ section: '.rodata..L__const.f' })));
    expect(diffObjects(build('a'), build('b')).changed).toEqual({ f: 'table' });
  });

  test('where the builds disagree about the extent, the longer one is compared', () => {
    // A reference that went away joins two extents: the table behind it is now part of the first.
    const build = (second: number, split: boolean): ObjectBuilder => {
      const builder = rodata([1, second]).func('f', body(lea({ section: '.rodata' })));
      return split ? builder.func('g', body(lea({ section: '.rodata' }, 4))) : builder;
    };
    expect(diffObjects(build(2, true), build(3, false)).changed).toHaveProperty('f');
    expect(diffObjects(build(2, true), build(2, false)).changed).toEqual({});
  });
});
