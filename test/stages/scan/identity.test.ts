import { describe, expect, test } from 'vitest';
import { R_X86_64_PC32, STT_FUNC } from '../../../src/elf/constants';
import {
  NOTHING,
  body,
  call,
  diffObjects,
  inc,
  lea,
  movEax,
  near,
  opened,
  scan,
  BODY,
} from '../../support/diff-objects';
import {
  abs32s,
  code,
  disp32,
  hex,
  object,
  ptr64,
  ref32,
  ref64,
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

describe('data', () => {
  test('a changed initial value is refused', () => {
    // The running kernel's variable keeps its value: the livepatch would silently not contain the change.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('limit', [u32(value)])
        .func('f', body(inc('limit')));
    const diff = diffObjects(build(1), build(2));
    expect(diff.data.changed).toEqual(['limit']);
    expect(diff.told).toEqual(['changed-data limit']);
    expect(diff.changed).toEqual({});
  });

  test('a variable that gets an initial value is refused', () => {
    // .bss holds no bytes: nothing to compare is not equal.
    const build = (value: number): ObjectBuilder =>
      (value === 0
        ? object().file('x.c').bss('limit', 4)
        : object()
            .file('x.c')
            .data('limit', [u32(value)])
      ).func('f', body(inc('limit')));
    expect(diffObjects(build(0), build(2)).told).toEqual(['changed-data limit']);
  });

  test('a variable that grows is refused', () => {
    // Code of the patch would write past the running kernel's variable.
    const build = (size: number): ObjectBuilder => object().file('x.c').bss('state', size);
    expect(diffObjects(build(8), build(16)).told).toEqual(['changed-data state']);
    const common = (size: number): ObjectBuilder => object().file('x.c').common('tentative', size);
    expect(diffObjects(common(8), common(16)).told).toEqual(['changed-data tentative']);
    expect(diffObjects(common(8), common(8).bss('more', 4)).told).toEqual([]);
  });

  test('a pointer to something else is refused', () => {
    // The bytes of a pointer are zero in both builds: only its relocation differs.
    const build = (target: string): ObjectBuilder =>
      object()
        .file('x.c')
        .func('read_old', hex('c3'))
        .func('read_new', hex('c3'))
        .data('ops', [ptr64('read_old'), ptr64(target)]);
    expect(diffObjects(build('read_old'), build('read_new')).told).toEqual(['changed-data ops']);
  });

  test('a variable that becomes per-CPU is another variable', () => {
    // `static int depth` made DEFINE_PER_CPU keeps name, size and bytes; the changed code adds %gs to the address of the
    // running kernel's ordinary variable and writes somewhere.
    const build = (section: string): ObjectBuilder =>
      object()
        .file('x.c')
        .data('depth', [u32(5)], { section })
        .func('f', section === '.data.depth' ? body(inc('depth')) : body([0x65], inc('depth')));
    expect(diffObjects(build('.data.depth'), build('.data..percpu')).changed).toEqual({ f: 'code' });
    expect(diffObjects(build('.data.depth'), build('.data..percpu')).told).toEqual(['changed-placement depth']);
  });

  test('a CSWTCH table that differs changes its user, with class table', () => {
    // GCC's switch tables are never correlated: a changed table is a change that upstream reports as "nothing changed".
    const build = (name: string, value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .rodata(name, [u32(1), u32(value)], { bind: 'local' })
        .func('f', body(lea(name)));
    expect(diffObjects(build('CSWTCH.7', 2), build('CSWTCH.9', 2))).toMatchObject(NOTHING);
    expect(diffObjects(build('CSWTCH.7', 2), build('CSWTCH.9', 3)).changed).toEqual({ f: 'table' });
  });

  test('a table inside a table', () => {
    // A compound literal that points to another: the inner one's content is part of the user.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .rodata('CSWTCH.1', [u32(value)], { bind: 'local' })
        .rodata('__compound_literal.2', [ptr64('CSWTCH.1')], { bind: 'local' })
        .func('f', body(lea('__compound_literal.2')));
    expect(diffObjects(build(2), build(3)).changed).toEqual({ f: 'table' });
  });

  test('anonymous constants count by their sh_entsize bytes', () => {
    // .LC labels and the offsets of .rodata.cst16 move with every other constant of the unit.
    const build = (first: number, value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .constant('.rodata.cst16', [u32(first), u32(0), u32(0), u32(0)])
        .constant('.rodata.cst16', [u32(value), u32(0), u32(0), u32(0)])
        .func('f', body(lea({ section: '.rodata.cst16' }, 16)));
    expect(diffObjects(build(1, 2), build(7, 2))).toMatchObject(NOTHING);
    expect(diffObjects(build(1, 2), build(1, 3)).changed).toEqual({ f: 'table' });
  });

  test("an entsize that the section's name contradicts is the one that counts", () => {
    // .rodata.cst64.sigma has entsize 160: 64 bytes of it compared would miss the rest.
    const build = (last: number): ObjectBuilder =>
      object()
        .file('chacha.c')
        .section('.rodata.cst64.sigma', { entsize: 160, flags: 0x12, body: [new Uint8Array(156), u32(last)] })
        .func('f', body(lea({ section: '.rodata.cst64.sigma' })));
    expect(diffObjects(build(1), build(2)).changed).toEqual({ f: 'table' });
  });

  test('strings of an entsize above every size are whole sections', () => {
    // As a signed number it is -1: the end was looked for backwards, out of the file; of 2^63 the search stood still for ever.
    const build = (text: string): Buffer => {
      const bytes = Buffer.from(
        object()
          .file('x.c')
          .func('f', body(lea({ string: text })))
          .bytes(),
      );
      const built = opened(bytes);
      const strings = Array.from({ length: built.sectionCount }, (_, section) => section).filter(
        (section) => (built.sectionFlags(section) & 0x20) !== 0,
      );
      expect(strings).toHaveLength(1);
      bytes.writeBigUInt64LE(2n ** 64n - 1n, built.headersOffset + strings[0]! * 64 + 56);
      return bytes;
    };
    expect(diffObjects(build('one'), build('one'))).toMatchObject(NOTHING);
    expect(diffObjects(build('one'), build('two')).changed).toEqual({ f: 'reference' });
  });

  test('anonymous .rodata extends to where another object is known to begin', () => {
    // A place that g refers to may lie in the middle of what f hands out whole ("one\\0two\\0"): f must not pass for unchanged.
    const build = (one: number, two: number): ObjectBuilder =>
      object()
        .file('x.c')
        .section('.rodata', { body: [u32(one), u32(5), u32(two), u32(6)] })
        .func('f', body(lea({ section: '.rodata' })))
        .func('g', body(lea({ section: '.rodata' }, 8)));
    expect(diffObjects(build(1, 2), build(1, 3)).changed).toEqual({ f: 'table', g: 'table' });
    expect(diffObjects(build(1, 2), build(7, 2)).changed).toEqual({ f: 'table' });
    // 155,667 bytes of Debian's .rodata have no symbol; without an end the edit of one unit's table changes all users of the section.
    const units = (two: number): ObjectBuilder =>
      object()
        .section('.rodata', { body: [u32(1), u32(5), u32(two), u32(6)] })
        .file('x.c')
        .func('f', body(lea({ section: '.rodata' })), { bind: 'local' })
        .file('y.c')
        .func('g', body(lea({ section: '.rodata' }, 8)), { bind: 'local' });
    expect(diffObjects(units(2), units(3)).changed).toEqual({ g: 'table' });
    expect(diffObjects(build(1, 2), build(1, 2).bss('more', 4))).toMatchObject({ changed: {} });
  });

  test('anonymous writable data counts by content', () => {
    // .data..L__unnamed_1 has no symbol: its change leaves no trace, neither in a function nor as changed data.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .section('.data..L__unnamed_1', { body: [u32(value), u32(2)] })
        .func('f', body(lea({ section: '.data..L__unnamed_1' })));
    const diff = diffObjects(build(1), build(3));
    expect([...Object.keys(diff.changed), ...diff.told].length).toBeGreaterThan(0);
  });

  test('another place of a section without symbols is a change', () => {
    // Assembler tables without symbols (.data of head_64.S): `section + 8` instead of `section + 0` is not seen.
    const build = (offset: number): ObjectBuilder =>
      object()
        .file('head_64.S')
        .section('.data', { body: [u32(1), u32(2), u32(3), u32(4)] })
        .func('f', body(lea({ section: '.data' }, offset)));
    expect(diffObjects(build(0), build(8)).changed).toEqual({ f: 'reference' });
  });

  test('a compound literal that points to another numbered variable is not passed over', () => {
    // Both variables have the base name `state`: the literal's digest is the same. Its user contradicts the others.
    const build = (target: string): ObjectBuilder =>
      object()
        .file('x.c')
        .bss('state.1', 8, { bind: 'local' })
        .bss('state.2', 8, { bind: 'local' })
        .func('one', body(inc('state.1')))
        .func('two', body(inc('state.2')))
        .rodata('__compound_literal.4', [ptr64(target)], { bind: 'local' })
        .func('f', body(lea('__compound_literal.4')));
    // Premise: where nothing changed the variables pair.
    expect(diffObjects(build('state.1'), build('state.1')).twin('state.1')?.name).toBe('state.1');
    const diff = diffObjects(build('state.1'), build('state.2'));
    expect([...Object.keys(diff.changed), ...diff.told].length).toBeGreaterThan(0);
  });

  test('a ratelimit state is private to each build', () => {
    // `_rs.3` of one function is `_rs.4` of the next build: correlated by number it would be another function's.
    const build = (name: string): ObjectBuilder =>
      object()
        .file('x.c')
        .data(name, [u32(5), u32(10)], { bind: 'local' })
        .func('f', body(lea(name)));
    expect(diffObjects(build('_rs.3'), build('_rs.4'))).toMatchObject(NOTHING);
  });

  test('a ratelimit state with another burst is a change of its function', () => {
    // pr_warn_ratelimited with its own DEFINE_RATELIMIT_STATE(_rs, 5 * HZ, 10): the patch changes 10 to 20, nothing is seen.
    const build = (burst: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('_rs.3', [u32(5), u32(burst)], { bind: 'local' })
        .func('f', body(lea('_rs.3')));
    const diff = diffObjects(build(10), build(20));
    expect([...Object.keys(diff.changed), ...diff.told].length).toBeGreaterThan(0);
  });
});

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

test('read-only data that refers to itself', () => {
  // What lies between symbols may hold pointers to itself; each of 200 places leads to another one.
  const self = (last: number): ObjectBuilder =>
    object()
      .file('x.c')
      .section('.rodata', {
        body: [
          ...Array.from({ length: 200 }, (_, i) => ptr64({ section: '.rodata' }, BigInt((i * 8 + 8) % 1600))),
          u32(last),
        ],
      })
      .func('f', body(lea({ section: '.rodata' })));
  expect(diffObjects(self(1), self(1)).changed).toEqual({});
  expect(diffObjects(self(1), self(2)).changed).toEqual({ f: 'table' });
});

test('read-only data that refers to itself without end ends in a typed error', () => {
  // Each of 20 merged constants opens 19 others: without a bound the scan of one function would never end.
  const section = '.rodata.cst160';
  const self = object()
    .file('x.c')
    .section(section, {
      flags: 0x12,
      entsize: 160,
      align: 8,
      body: Array.from({ length: 400 }, (_, i) => ptr64({ section }, BigInt((i % 20) * 160))),
    })
    .func('f', body(lea({ section })));
  expect(() => diffObjects(self, self)).toThrow(/refers to itself/);
});

describe('values of 4 GiB and more', () => {
  test('an absolute symbol counts with all of its 64 bits', () => {
    // The columns hold 32: `0x100000005` and `0x200000005` are one there.
    const build = (high: number): ObjectBuilder =>
      object()
        .file('x.c')
        .abs('limit', high * 2 ** 32 + 5)
        .func('f', body([0x48, 0xb8, ref64('limit')]));
    expect(diffObjects(build(1), build(2)).changed).toEqual({ f: 'reference' });
    expect(diffObjects(build(1), build(1).bss('more', 8))).toMatchObject({ changed: {} });
  });

  test.each(['value', 'size'] as const)('a %s of 4 GiB in a section is refused, not cut', (field) => {
    const builder = object().file('x.c').bss('huge', 8, { bind: 'local' });
    const elf = opened(builder);
    const bytes = builder.bytes();
    const at = elf.offset(elf.symtabSection) + 24 * 2 + (field === 'value' ? 8 : 16);
    expect(elf.symbolName(2)).toBe('huge');
    bytes.writeBigUInt64LE(
      0x140000000n,
      elf.headersOffset + 64 * bytes.readUInt16LE(elf.offset(elf.symtabSection) + 24 * 2 + 6) + 32,
    );
    expect(() => scan(bytes)).not.toThrow();
    bytes.writeBigUInt64LE(0x100000000n, at);
    expect(() => scan(bytes)).toThrow(
      expect.objectContaining({
        code: 'malformed-elf',
        message: expect.stringMatching(/symbol 2 \(huge\) has an offset or a size of 4 GiB or more/) as string,
      }),
    );
  });
});

test('a function in SHN_COMMON is refused', () => {
  // It has a size and no bytes: whoever decoded it read the headers of section 0xfffffff2.
  const builder = object().file('x.c').func('f', body()).common('shared', 16);
  const bytes = builder.bytes();
  const elf = opened(builder);
  const symbol = [...Array(elf.symbolCount).keys()].find((number) => elf.symbolName(number) === 'shared')!;
  expect(() => scan(bytes)).not.toThrow();
  bytes.writeUInt8((1 << 4) | STT_FUNC, elf.offset(elf.symtabSection) + 24 * symbol + 4);
  expect(() => scan(bytes)).toThrow(
    expect.objectContaining({
      code: 'malformed-elf',
      message: expect.stringContaining('(shared) is a function in SHN_COMMON') as string,
    }),
  );
});
