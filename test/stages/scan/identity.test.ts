import { describe, expect, test } from 'vitest';
import { R_X86_64_PC32 } from '../../../src/elf/constants';
import { NOTHING, body, call, diffObjects, inc, lea, movEax, near, BODY } from '../../support/diff-objects';
import {
  abs32s,
  code,
  disp32,
  hex,
  object,
  ptr64,
  relocated,
  u32,
  type ObjectBuilder,
} from '../../support/elf-builder';

/** Strings that shift every later offset of the default string section. */
const shifted = (builder: ObjectBuilder, texts: string[] = ['a string that another unit brought in']): ObjectBuilder =>
  texts.reduce((all, text) => all.string(text), builder);

describe('strings', () => {
  test('a function whose strings moved is unchanged', () => {
    // One edited string moves 8,427 rela sections of a 7.2 kernel: every function that logs would be patched.
    const build = (first: string[]): ObjectBuilder =>
      shifted(object().file('core.c'), first).func('f', body(lea({ string: 'hello %d\n' }), call('_printk')));
    expect(
      build(['x'])
        .bytes()
        .equals(build(['something longer']).bytes()),
    ).toBe(false);
    expect(diffObjects(build(['x']), build(['something longer']))).toMatchObject(NOTHING);
  });

  test('an edited text changes its user and nobody else', () => {
    // The user's own bytes and its relocation may be the same: only the text behind the section symbol differs.
    const build = (text: string): ObjectBuilder =>
      object()
        .file('core.c')
        .string('before')
        .func('f', body(lea({ string: text })))
        .func('g', body(lea({ string: 'before' })));
    const diff = diffObjects(build('hello'), build('hallo'));
    expect(diff.changed).toEqual({ f: 'reference' });
  });

  test('a shared tail is a text of its own', () => {
    // `ld -r` and the assembler share "world" with "hello world": an offset within a string is a string.
    const build = (text: string): ObjectBuilder =>
      object()
        .file('core.c')
        .string(text)
        .func('f', body([0x48, 0x8d, 0x3d, disp32({ section: '.rodata.str1.1' }, 6)]));
    expect(diffObjects(build('hello world'), build('HELLO world'))).toMatchObject(NOTHING);
    expect(diffObjects(build('hello world'), build('hello World')).changed).toEqual({ f: 'reference' });
  });

  for (const unit of [2, 4] as const) {
    test(`units of ${unit} bytes end at a unit of zeros, not at a byte`, () => {
      // Clang keeps tables that end in zero in .rodata.str4.16 (`perf_reg_value`): as bytes `50 00 00 00 58` is "P".
      const build = (text: string): ObjectBuilder =>
        object()
          .file('regs.c')
          .func('perf_reg_value', body(lea({ string: text, unit })));
      expect(diffObjects(build('PX'), build('PY')).changed).toEqual({ perf_reg_value: 'reference' });
      expect(diffObjects(build('PX'), build('PX').string('later', { unit }))).toMatchObject(NOTHING);
    });
  }

  test('string sections are told by their flags, not by their names', () => {
    // 118 of 123 names with .rodata and .str hold no strings (.rodata.stream_id_fops): as text they end at the first zero.
    const build = (last: number): ObjectBuilder =>
      object()
        .file('i915_perf.c')
        .rodata('stream_id_fops', [u32(1), u32(0), u32(last)], { bind: 'local' })
        .func('f', body(lea('stream_id_fops')));
    const diff = diffObjects(build(7), build(8));
    expect(diff.data.changed).toEqual(['stream_id_fops']);
    expect({ changed: diff.changed, told: diff.told }).toEqual({ changed: { f: 'table' }, told: [] });
  });

  test('an object in a section called like strings is no string', () => {
    // .rodata..L.str.239 has 26,551 bytes and relocations: read as a string its content behind the first zero is lost.
    const build = (last: number): ObjectBuilder =>
      object()
        .file('x.c')
        .section('.rodata..L.str.239', { body: [u32(1), u32(0), u32(last)] })
        .func('f', body(lea({ section: '.rodata..L.str.239' })));
    expect(diffObjects(build(7), build(8)).changed).toEqual({ f: 'table' });
    expect(diffObjects(build(7), build(7).bss('more', 8)).changed).toEqual({});
  });

  test('promoted strings count by text, whatever number and hash', () => {
    // 1,409 symbols .str.N.llvm.H stand in a ThinLTO kernel; an edited unit gives all of its strings another hash.
    const build = (name: string, text: string): ObjectBuilder =>
      object()
        .file('x.c')
        .string(text)
        .symbol(name, { section: '.rodata.str1.1', type: 1, bind: 'global', at: 0, size: text.length + 1 })
        .func('f', body(lea(name)));
    expect(diffObjects(build('.str.7.llvm.111', 'text'), build('.str.9.llvm.222', 'text'))).toMatchObject(NOTHING);
    expect(diffObjects(build('.str.7.llvm.111', 'text'), build('.str.7.llvm.111', 'Text')).changed).toEqual({
      f: 'reference',
    });
  });
});

describe('where a reference points', () => {
  /** Two variables of one section, reached through the section symbol; `b` stands at `at`. */
  const shared = (at: number, use: (at: number) => ReturnType<typeof body>): ObjectBuilder =>
    object()
      .file('x.c')
      .data('a', [u32(1)], { section: '.data..read_mostly', bind: 'local', at: 0 })
      .data('b', [u32(2)], { section: '.data..read_mostly', bind: 'local', at })
      .func('f', use(at));

  test('an immediate behind the displacement: addend -5 is the variable itself', () => {
    // 9 % of data references have such an addend; with the naive +4 they reach the byte before, a neighbour's.
    const compare = (at: number): ReturnType<typeof body> =>
      body([0x80, 0x3d, relocated(4, R_X86_64_PC32, { section: '.data..read_mostly' }, at - 5), 0]);
    expect(diffObjects(shared(8, compare), shared(24, compare))).toMatchObject(NOTHING);
    const toA = (): ReturnType<typeof body> =>
      body([0x80, 0x3d, relocated(4, R_X86_64_PC32, { section: '.data..read_mostly' }, -5), 0]);
    expect(diffObjects(shared(8, compare), shared(8, toA)).changed).toEqual({ f: 'reference' });
  });

  test('a field whose tail the bytes do not tell', () => {
    // movw $imm16 has two bytes behind the field: undecided by reading backwards, decided by decoding.
    const store = (at: number): ReturnType<typeof body> =>
      body([0x66, 0xc7, 0x05, relocated(4, R_X86_64_PC32, { section: '.data..read_mostly' }, at - 6), 1, 0]);
    expect(diffObjects(shared(8, store), shared(24, store)).changed).toEqual({});
    const toA = (): ReturnType<typeof body> =>
      body([0x66, 0xc7, 0x05, relocated(4, R_X86_64_PC32, { section: '.data..read_mostly' }, -6), 1, 0]);
    expect(diffObjects(shared(8, store), shared(8, toA)).changed).toEqual({ f: 'reference' });
  });

  test('another variable of the same section', () => {
    // Both references are `section + number`: only the covering symbol tells that the patch uses another variable.
    const at = (place: number) => (): ReturnType<typeof body> => body(inc({ section: '.data..read_mostly' }, place));
    expect(diffObjects(shared(8, at(0)), shared(8, at(8))).changed).toEqual({ f: 'reference' });
  });

  test("a pointer to the end of an object is that object's", () => {
    // `for (p = table; p < table + n; p++)`: the end lies past the symbol, and alignment leaves a gap behind it.
    const build = (gap: number): ObjectBuilder =>
      object()
        .file('x.c')
        .rodata('filler', [u32(9)], { section: '.rodata.pair', bind: 'local', at: 0 })
        .rodata('table', [u32(1), u32(2), u32(3)], { section: '.rodata.pair', bind: 'local', at: gap })
        .rodata('after', [u32(1)], { section: '.rodata.pair', bind: 'local', at: gap + 16 })
        .func('f', body([0x48, 0xc7, 0xc7, abs32s({ section: '.rodata.pair' }, gap + 12)]));
    expect(diffObjects(build(8), build(32))).toMatchObject(NOTHING);
  });

  test("an addend past the section's end means the section's only object", () => {
    // set_proc_pid_nlink compares against .rodata.tgid_base_stuff + 0x8cc, 12 bytes past the end (6.12, GCC 12). Reading
    // content there compares whatever lies behind it in the file: the function counts as changed in every pair.
    const build = (behind: number, plus = 0x8cc): ObjectBuilder =>
      object()
        .file('base.c')
        .rodata('tgid_base_stuff', new Uint8Array(0x8c0), { bind: 'local' })
        .rodata('behind', [u32(behind)], { bind: 'local' })
        .func('set_proc_pid_nlink', body([0x48, 0x81, 0xff, abs32s({ section: '.rodata.tgid_base_stuff' }, plus)]));
    const diff = diffObjects(build(1), build(2));
    expect(diff.data.changed).toEqual(['behind']);
    expect(diff.changed).toEqual({});
    expect(diffObjects(build(1), build(1, 0x8c8)).changed).toEqual({ set_proc_pid_nlink: 'reference' });
  });

  test('an addend above 32 bits', () => {
    // `sym + 0x80000000` occurs 7 times: cut to 32 bits, two different distances are one.
    const build = (plus: bigint): ObjectBuilder =>
      object()
        .file('x.c')
        .data('target', [u32(1)])
        .data('pointer', [ptr64('target', plus)]);
    expect(diffObjects(build(0n), build(0x1_0000_0000n)).data.changed).toEqual(['pointer']);
    expect(diffObjects(build(0x8000_0000n), build(-0x8000_0000n)).data.changed).toEqual(['pointer']);
    expect(diffObjects(build(0x1_0000_0000n), build(0x1_0000_0000n).bss('more', 8)).data.changed).toEqual([]);
  });

  test('an addend above 32 bits to a symbol of the linker script', () => {
    // `_text + 0x80000000` (minus __START_KERNEL_map) is how __pa_symbol looks; a change of sign is invisible.
    const build = (plus: bigint): ObjectBuilder =>
      object()
        .file('x.c')
        .undef('_text')
        .func('f', body([0x48, 0xb8, ptr64('_text', plus)]));
    expect(diffObjects(build(1n), build(2n)).changed).toEqual({ f: 'reference' });
    expect(diffObjects(build(0n), build(0x1_0000_0000n)).changed).toEqual({ f: 'reference' });
  });

  test('relocations out of order', () => {
    // .initcall6.init is not in offset order: a binary search in it misses relocations.
    const build = (backwards: boolean, target = 'c'): ObjectBuilder => {
      const relas = ['a', 'b', target].map((sym, i) => ({ off: i * 8, type: 1, sym }));
      return object()
        .file('x.c')
        .data('a', [u32(1)])
        .data('b', [u32(1)])
        .data('c', [u32(1)])
        .data('d', [u32(1)])
        .data('one', new Uint8Array(8), { section: '.data.table', at: 0 })
        .data('two', new Uint8Array(16), { section: '.data.table', at: 8 })
        .relas('.data.table', ...(backwards ? relas.reverse() : relas));
    };
    expect(diffObjects(build(false), build(true))).toMatchObject(NOTHING);
    expect(diffObjects(build(false), build(true, 'd')).data.changed).toEqual(['two']);
  });

  test('the second relocation of one instruction counts, with a class of its own', () => {
    // movq $sym, other(%rip): 310 instructions of a 7.2 kernel; the upstream identity looks at the first one only.
    const build = (second: string): ObjectBuilder =>
      object()
        .file('x.c')
        .data('other', [u32(1)])
        .data('p', [u32(1)])
        .data('q', [u32(1)])
        .func('f', body([0x48, 0xc7, 0x05, relocated(4, R_X86_64_PC32, 'other', -8), abs32s(second)]));
    expect(diffObjects(build('p'), build('q')).changed).toEqual({ f: 'second-reference' });
    expect(diffObjects(build('p'), build('p').bss('more', 8))).toMatchObject({ changed: {} });
  });

  test('`.Ltmp` labels are places', () => {
    // 48,666 .Ltmp labels stand in a ThinLTO kernel and any edit renumbers them: matched by name all users would change.
    const build = (label: string, gap = 0): ObjectBuilder =>
      object()
        .file('x.c')
        .bss('filler', 8 + gap)
        .func('g', body(movEax(1)))
        .label(label, { section: '.text.g', at: BODY })
        .data('table', [ptr64(label)]);
    expect(diffObjects(build('.Ltmp17'), build('.Ltmp18'))).toMatchObject(NOTHING);
    const elsewhere = object()
      .file('x.c')
      .bss('filler', 8)
      .func('g', body(movEax(1)))
      .label('.Ltmp17', { section: '.text.g', at: 0 })
      .data('table', [ptr64('.Ltmp17')]);
    expect(diffObjects(build('.Ltmp17'), elsewhere).data.changed).toEqual(['table']);
  });
});

describe('several functions in one section', () => {
  /** `caller` at 0x20 calls without a relocation; a, b stand before or behind it. */
  const text = (layout: Array<[name: string, at: number, content: ReturnType<typeof body>]>): ObjectBuilder => {
    const builder = object().file('entry.c');
    for (const [name, at, content] of layout)
      builder.func(name, content, { section: '.noinstr.text', bind: 'local', at, align: 16 });
    return builder;
  };
  const a = body(movEax(1));
  const b = body(movEax(2));

  test('a direct call whose distance changed because neighbours moved is layout', () => {
    // 6,358 functions share 381 sections: a longer neighbour would change every caller in them.
    const orig = text([
      ['caller', 0, body(near(0xe8, 0x40 - BODY - 5))],
      ['a', 0x40, a],
    ]);
    const patched = text([
      ['caller', 0, body(near(0xe8, 0x60 - BODY - 5))],
      ['a', 0x60, a],
    ]);
    const diff = diffObjects(orig, patched);
    expect(diff.changed).toEqual({});
    expect(diff.ignored).toEqual({ caller: 'layout' });
  });

  test('a direct call to another function of the section is a change', () => {
    // No relocation names the callee: only the distance and who stands there tell.
    const to = (place: number): ObjectBuilder =>
      text([
        ['caller', 0, body(near(0xe8, place - BODY - 5))],
        ['a', 0x40, a],
        ['b', 0x60, b],
      ]);
    expect(diffObjects(to(0x40), to(0x60)).changed).toEqual({ caller: 'code' });
  });

  test('the same distance to another function is a change', () => {
    // __always_inline noinstr helpers share .noinstr.text: a helper that is replaced by another of the same place and size
    // leaves its callers byte for byte the same, and the livepatch goes on calling the old one.
    const place = (name: string, content: ReturnType<typeof body>): ObjectBuilder =>
      text([
        ['caller', 0, body(near(0xe8, 0x40 - BODY - 5))],
        [name, 0x40, content],
      ]);
    const diff = diffObjects(place('old_helper', a), place('new_helper', b));
    expect(diff.added).toEqual(['new_helper']);
    expect(Object.keys(diff.changed)).toEqual(['caller']);
  });

  test("callees that change places are seen although the caller's bytes are the same", () => {
    // As above: a and b swap places, so the unchanged distance calls the other one.
    const order = (first: 'a' | 'b'): ObjectBuilder =>
      text([
        ['caller', 0, body(near(0xe8, 0x40 - BODY - 5))],
        [first, 0x40, first === 'a' ? a : b],
        [first === 'a' ? 'b' : 'a', 0x60, first === 'a' ? b : a],
      ]);
    expect(Object.keys(diffObjects(order('a'), order('b')).changed)).toEqual(['caller']);
  });

  test('a jump of another length is a change', () => {
    // Upstream's identity holds the instruction's encoding; a re-encoded jump moves everything behind it.
    const build = (jump: Uint8Array): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', code(jump, hex('90 90 c3')));
    expect(diffObjects(build(hex('eb 02')), build(hex('e9 02 00 00 00'))).changed).toEqual({ f: 'code' });
  });

  test('neighbours do not lend each other their relocations', () => {
    // One relocation in the section, and it is not the first function's.
    const build = (callee: string): ObjectBuilder =>
      object()
        .file('x.c')
        .func('callee', hex('c3'))
        .func('other', hex('c3'))
        .func('first', hex('90 90 90 c3'), { section: '.text', at: 0 })
        .func('second', code(0xe9, { width: 4, value: 0, rela: { type: 4, sym: callee, addend: -4 } }), {
          section: '.text',
          at: 16,
        });
    expect(diffObjects(build('callee'), build('other')).changed).toEqual({ second: 'reference' });
  });
});
