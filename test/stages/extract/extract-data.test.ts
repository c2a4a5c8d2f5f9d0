/** Data that included code brings along: new variables, static locals of macros, strings, anonymous constants. */
import { describe, expect, test } from 'vitest';
import { body, inc, lea, movEax } from '../../support/diff-objects';
import {
  abs32s,
  code,
  disp32,
  hex,
  object,
  ptr64,
  relocated,
  u16,
  u32,
  u64,
  type Body,
  type ObjectBuilder,
} from '../../support/elf-builder';
import { extractObjects, type Extracted } from '../../support/extract-objects';

const LOCAL = { bind: 'local' } as const;
const EXPORTS = { exports: ['__x86_return_thunk'] };
/** Offset of what `f` holds behind the value that changes. */
const AT = 14;

type Rest = (builder: ObjectBuilder) => ObjectBuilder;

/** f changes and holds `part`; `rest` is in both builds. */
function changed(part: Body, rest: Rest = (b) => b, more: Rest = (b) => b): Extracted {
  return extractObjects(
    rest(object().file('x.c')).func('f', body(movEax(1), part)),
    more(rest(object().file('x.c')).func('f', body(movEax(2), part))),
    EXPORTS,
  );
}

/** f changes and gains `part`, which needs `fresh`. */
function gains(part: Body, fresh: Rest, options = EXPORTS): Extracted {
  return extractObjects(
    object()
      .file('x.c')
      .func('f', body(movEax(1))),
    fresh(object().file('x.c')).func('f', body(movEax(2), part)),
    options,
  );
}

const at = (offset: number): string => `+0x${(AT + offset).toString(16)}`;

describe('variables', () => {
  test('a new one goes along with its bytes and what they refer to', () => {
    // Copied without its references it holds null pointers.
    const made = gains(lea('ops'), (b) =>
      b
        .func('fresh', body(movEax(3)), LOCAL)
        .data('state', [u32(7)], LOCAL)
        .data('ops', [ptr64('fresh'), ptr64('state', 2), u64(0x1122)], LOCAL),
    );
    expect(made.told).toEqual([]);
    expect(made.relas('f')[0]).toBe(`${at(3)} PC32 ops-4`);
    expect(made.relas('ops')).toEqual(['+0x0 64 fresh', '+0x8 64 state+2']);
    expect(made.hex('ops')).toBe(`${'00'.repeat(16)}2211000000000000`);
    expect(made.hex('state')).toBe('07000000');
    expect(made.section('.data.ops').writable).toBe(true);
  });

  test("one that both builds have is the running kernel's", () => {
    // A copy starts from the initial value, and two copies drift apart.
    expect(changed(inc('counter', 4), (b) => b.data('counter', [u32(1), u32(2)])).relas('f')[0]).toBe(
      `${at(2)} klp PC32 vmlinux.counter,0`,
    );
    expect(changed(inc('counter', 4), (b) => b.data('counter', [u32(1), u32(2)])).defined).toEqual(['f']);
  });

  test('new data without bytes keeps its size and takes none in the file', () => {
    const made = gains(inc('buffer'), (b) => b.bss('buffer', 4096, LOCAL));
    expect(made.section('.bss.buffer')).toMatchObject({ size: 4096, type: 8 });
    expect(made.section('.bss.buffer').bytes.length).toBe(0);
  });

  test('a static local of a macro is private to each build', () => {
    // `__already_done` of WARN_ONCE: numbered anew in each build, so the running kernel's of that name is another one.
    for (const name of ['__already_done.3', 'f.__key', '__func__.7', 'f._rs.2']) {
      const made = changed(inc(name), (b) => b.data(name, [u64(5)], LOCAL));
      expect(made.defined, name).toEqual(['f', name].sort());
      expect(made.object.klpRelas, name).toEqual([]);
    }
  });

  test("an ordinary static local is the running kernel's, by ORIG's number", () => {
    // By PATCHED's name `count.5` the kernel has another function's counter, or none.
    const orig = object()
      .file('x.c')
      .bss('count.3', 8, LOCAL)
      .func('f', body(movEax(1), inc('count.3')))
      .func('g', body(lea('count.3')));
    const patched = object()
      .file('x.c')
      .bss('count.5', 8, LOCAL)
      .func('f', body(movEax(2), inc('count.5')))
      .func('g', body(lea('count.5')));
    const made = extractObjects(orig, patched, EXPORTS);
    expect(made.told).toEqual([]);
    expect(made.relas('f')[0]).toBe(`${at(2)} klp PC32 vmlinux.count.3,0-4`);
    expect(made.object.klpRelas[0]!.target.patchedName).toBe('count.5');
  });

  test('keys without bytes get addresses of their own', () => {
    // `init_completion.__key` stands 65 times at one address: copies that take their neighbour's merge lock classes.
    const made = gains(code(inc('a.__key'), inc('b.__key'), inc('c.__key')), (b) =>
      b
        .bss('a.__key', 0, { section: '.bss.__key', ...LOCAL })
        .bss('b.__key', 0, { section: '.bss.__key', ...LOCAL })
        .bss('c.__key', 0, { section: '.bss.__key', ...LOCAL }),
    );
    const places = ['a.__key', 'b.__key', 'c.__key'].map((name) => made.symbol(name).value);
    expect(new Set(places).size).toBe(3);
    expect(places.every((place) => place % 8 === 0)).toBe(true);
    expect(made.section('.bss.__key').size).toBeGreaterThan(Math.max(...places));
  });

  test('a key of a section of its own without bytes and symbol, too', () => {
    // GCC refers to `.bss.__key.414` by its section symbol.
    const made = gains(
      code(inc({ section: '.bss.__key.1' }), inc({ section: '.bss.__key.2' }), inc({ section: '.bss.__key.1' })),
      (b) => b.section('.bss.__key.1').section('.bss.__key.2'),
    );
    expect(made.relas('f').slice(0, 3)).toEqual([
      `${at(2)} PC32 .bss.__key.1-4`,
      `${at(8)} PC32 .bss.__key.2-4`,
      `${at(14)} PC32 .bss.__key.1-4`,
    ]);
    expect([made.sections['.bss.__key.1'], made.sections['.bss.__key.2']]).toEqual([1, 1]);
  });

  test('writable data without a symbol is refused', () => {
    // Nothing tells whose it is: a copy would be another variable.
    expect(
      changed(inc({ section: '.data.hidden' }), (b) => b.section('.data.hidden', { body: [u64(1)] })).told,
    ).toEqual(['unresolved-reference .data.hidden+0x0']);
  });

  test('one that is found by its section symbol in a section of several', () => {
    // Naive +4: `cmpb $0, b(%rip)` has addend 8-5, so it would be the last byte of a.
    const three: Rest = (b) =>
      b
        .data('a', [u64(1)], { section: '.data', ...LOCAL })
        .data('b', [u64(2)], { section: '.data', ...LOCAL })
        .data('c', [u64(3)], { section: '.data', ...LOCAL });
    const cmpb: Body = [0x80, 0x3d, disp32({ section: '.data' }, 8, 1), 0];
    expect(changed(cmpb, three).relas('f')[0]).toBe(`${at(2)} klp PC32 vmlinux.b,0-5`);
    const movl: Body = [0xc7, 0x05, disp32({ section: '.data' }, 16, 4), u32(9)];
    expect(changed(movl, three).relas('f')[0]).toBe(`${at(2)} klp PC32 vmlinux.c,0-8`);
    const movw: Body = [0x66, 0xc7, 0x05, disp32({ section: '.data' }, 10, 2), u16(9)];
    expect(changed(movw, three).relas('f')[0]).toBe(`${at(3)} klp PC32 vmlinux.b,0-4`);
    expect(changed(lea({ section: '.data' }, 8), three).relas('f')[0]).toBe(`${at(3)} klp PC32 vmlinux.b,0-4`);
  });

  test('... new ones as well', () => {
    const made = gains([0x80, 0x3d, disp32({ section: '.data' }, 8, 1), 0], (b) =>
      b.data('a', [u64(1)], { section: '.data', ...LOCAL }).data('b', [u64(2)], { section: '.data', ...LOCAL }),
    );
    expect(made.relas('f')[0]).toBe(`${at(2)} PC32 b-5`);
    expect(made.defined).toEqual(['b', 'f']);
  });

  test('static texts are copied where no position is known', () => {
    // 107 `_acpi_module_name` in one kernel: refused, no function of ACPI could be patched with a list of names. One pointer more or less in
    // what is copied, and it may be compared with.
    const two =
      (content: Body) =>
      (value: number): ObjectBuilder =>
        object()
          .file('a.c')
          .rodata('name', content, { section: '.rodata.a', ...LOCAL })
          .func('f', body(movEax(value), lea('name')))
          .file('b.c')
          .rodata('name', content, { section: '.rodata.b', ...LOCAL })
          .func('g', body(lea('name')));
    const text = two(code(...Buffer.from('nsxface\0')));
    expect(extractObjects(text(1), text(2), EXPORTS)).toMatchObject({ told: [], defined: ['f', 'name'] });
    for (const other of [two(code(...Buffer.from('nsx\0face\0'))), two([ptr64('f')]), two([u64(0)])])
      expect(extractObjects(other(1), other(2), EXPORTS).told).toEqual(['position-unknown name']);
  });

  test('an end pointer belongs to the object before it', () => {
    // `while (p < table + N)`: by the place alone it is the next object, or none.
    const made = changed(lea({ section: '.data' }, 16), (b) =>
      b.data('table', [u64(1), u64(2)], { section: '.data', ...LOCAL }),
    );
    expect(made.relas('f')[0]).toBe(`${at(3)} klp PC32 vmlinux.table,0+12`);
  });

  /** Unit b.c has `ring`, behind it in one section unit a.c's `counter`; f of b.c, with or without a unit of its own, holds `part`. */
  const neighbours = (part: Body, bind: 'local' | 'global', more: Rest = (b) => b): Extracted => {
    const build = (value: number): ObjectBuilder =>
      more(
        object()
          .file('b.c')
          .bss('ring', 128, { section: '.data..percpu', ...LOCAL }),
      )
        .func('f', body(movEax(value), part), { bind })
        .file('a.c')
        .data('counter', [u32(1)], { section: '.data..percpu', ...LOCAL })
        .func('g', body(inc('counter')));
    return extractObjects(build(1), build(2), EXPORTS);
  };

  test("... also where another unit's object begins there", () => {
    // A loop over `bh_lrus` ends where `__percpu_rwsem_rc_file_rwsem` of locks.c begins. In the running kernel that may lie elsewhere.
    expect(neighbours(lea({ section: '.data..percpu' }, 128), 'local').relas('f')[0]).toBe(
      `${at(3)} klp PC32 vmlinux.ring,0+124`,
    );
    // A global function has no unit of its own; what else it refers to tells.
    expect(
      neighbours(code(lea({ section: '.data..percpu' }, 128), lea({ section: '.data..percpu' }, 8)), 'global')
        .relas('f')
        .slice(0, 2),
    ).toEqual([`${at(3)} klp PC32 vmlinux.ring,0+124`, `${at(10)} klp PC32 vmlinux.ring,0+4`]);
  });

  test("a place before an object is the unit's own object", () => {
    // `parse_pred` counts down from `ops - 8`, where several units' `ops` share a section; to the place there belongs nothing, or a neighbour.
    expect(neighbours(lea({ section: '.data..percpu' }, -8), 'local').relas('f')[0]).toBe(
      `${at(3)} klp PC32 vmlinux.ring,0-12`,
    );
    expect(neighbours(lea({ section: '.data..percpu' }, 130), 'local').relas('f')[0]).toBe(
      `${at(3)} klp PC32 vmlinux.ring,0+126`,
    );
  });

  test('... or refused, where the unit has several or the place is far off', () => {
    const two: Rest = (b) => b.bss('other', 8, { section: '.data..percpu', at: 512, ...LOCAL });
    expect(neighbours(lea({ section: '.data..percpu' }, 130), 'local').told).toEqual([]);
    expect(neighbours(lea({ section: '.data..percpu' }, 522), 'local', two).told).toEqual([
      'ambiguous-reference f+0x11',
    ]);
    expect(neighbours(lea({ section: '.data..percpu' }, -300), 'local').told).toEqual([
      'unresolved-reference .data..percpu-0x12c',
    ]);
  });

  test('an object keeps its place within its alignment', () => {
    // movaps of a 16-byte constant that lies 8 off faults.
    const made = gains(code(lea('small'), lea('aligned')), (b) =>
      b
        .rodata('small', [u64(1)], { section: '.rodata', align: 8, ...LOCAL })
        .rodata('aligned', [u64(2), u64(3)], { section: '.rodata', align: 32, ...LOCAL }),
    );
    expect(made.symbol('aligned').value % 32).toBe(0);
    expect(made.section('.rodata').align).toBe(32);
    expect(made.hex('aligned')).toBe('02000000000000000300000000000000');
  });

  test('aliases of data: one body, all names', () => {
    const made = gains(code(lea('one'), lea('two')), (b) => b.data('one', [u64(1)]).alias('two', 'one'));
    expect(made.defined).toEqual(['f', 'one', 'two']);
    expect(made.symbol('one').value).toBe(made.symbol('two').value);
    expect(made.sections['.data.one']).toBe(8);
  });
});

describe('strings', () => {
  const strings: Rest = (b) => b.string('first').string('second text').string('third');

  test('a PC-relative reference takes the whole string', () => {
    // The raw addend is 4 bytes early: upstream copies "st\0" and what follows, and loses the bias.
    const made = changed(lea({ string: 'second text' }), strings);
    expect(made.relas('f')[0]).toBe(`${at(3)} PC32 .rodata.str1.1-4`);
    expect(Buffer.from(made.bytes('.rodata.str1.1')).toString()).toBe('second text\0');
  });

  test('an absolute one, too', () => {
    const made = changed([0x48, 0xc7, 0xc7, abs32s({ string: 'second text' })], strings);
    expect(made.relas('f')[0]).toBe(`${at(3)} 32S .rodata.str1.1`);
    expect(made.text('f', AT + 3)).toBe('second text');
  });

  test('a reference into a string takes all of it', () => {
    // A loop over a literal may begin or end anywhere in it, and what it runs over must lie there.
    const made = changed(code(lea({ string: 'second text' }, 7), lea({ string: 'third' })), strings);
    expect([made.text('f', AT + 3, 4), made.text('f', AT + 10, 4)]).toEqual(['text', 'third']);
    expect(made.sections['.rodata.str1.1']).toBe(18);
  });

  test('bytes behind the operand count', () => {
    // cmpb $0x66, text(%rip): addend -5; one byte more and the string begins at "irst".
    const made = changed([0x80, 0x3d, disp32({ string: 'first' }, 0, 1), 0x66], (b) =>
      b.string('zero').string('first'),
    );
    expect(made.relas('f')[0]).toBe(`${at(2)} PC32 .rodata.str1.1-5`);
    expect(made.text('f', AT + 2, 5)).toBe('first');
  });

  test('the same text is copied once', () => {
    const made = changed(code(lea({ string: 'third' }), lea({ string: 'first' }), lea({ string: 'third' })), strings);
    expect(made.relas('f').slice(0, 3)).toEqual([
      `${at(3)} PC32 .rodata.str1.1-4`,
      `${at(10)} PC32 .rodata.str1.1+2`,
      `${at(17)} PC32 .rodata.str1.1-4`,
    ]);
  });

  test.each([2, 4] as const)('characters of %i bytes are copied whole, up to a zero character', (unit) => {
    // Clang puts constant tables into .rodata.str4.4: as bytes, `50 00 00 00 58 ...` is the string "P".
    const made = changed(lea({ string: 'PX', unit }), (b) => b.string('other', { unit }));
    const zeros = '00'.repeat(unit - 1);
    expect(Buffer.from(made.bytes(`.rodata.str${unit}.${unit}`)).toString('hex')).toBe(
      `50${zeros}58${zeros}00${zeros}`,
    );
    expect(made.section(`.rodata.str${unit}.${unit}`)).toMatchObject({ entsize: unit, align: unit });
    expect(made.relas('f')[0]).toBe(`${at(3)} PC32 .rodata.str${unit}.${unit}-4`);
  });

  test('strings keep the alignment of their section', () => {
    const made = changed(
      code(lea({ string: 'a', section: '.rodata.str1.16' }), lea({ string: 'bc', section: '.rodata.str1.16' })),
      (b) => b,
    );
    expect(made.section('.rodata.str1.16')).toMatchObject({ align: 16, size: 19 });
    expect(made.text('f', AT + 10, 4)).toBe('bc');
  });

  test('a section that is only called like one is data', () => {
    // 118 of 123 such names hold no strings: cut at the first zero, `stream_id_fops` has one byte of hundreds.
    const made = gains(lea('stream_id_fops'), (b) =>
      b.rodata('stream_id_fops', [ptr64('f'), u64(0), u64(7)], { section: '.rodata.str.stream_id_fops', ...LOCAL }),
    );
    expect(made.sections['.rodata.str.stream_id_fops']).toBe(24);
    expect(made.relas('stream_id_fops')).toEqual(['+0x0 klp 64 vmlinux.f,0']);
  });

  test('a reference into a character, or to text without an end, is refused', () => {
    expect(changed(lea({ string: 'PX', unit: 4 }, 2), (b) => b).told).toEqual([
      'unresolved-reference .rodata.str4.4+0x2',
    ]);
    const open: Rest = (b) => b.section('.rodata.str1.1', { body: hex('41 42 43') });
    expect(changed(lea({ section: '.rodata.str1.1' }), open).told).toEqual(['unresolved-reference .rodata.str1.1+0x0']);
    expect(changed(lea({ section: '.rodata.str1.1' }, 17), open).told).toEqual([
      'unresolved-reference .rodata.str1.1+0x11',
    ]);
    expect(changed(lea({ section: '.rodata.str1.1' }, -3), open).told).toEqual([
      'unresolved-reference .rodata.str1.1-0x3',
    ]);
  });
});

describe('anonymous read-only data', () => {
  const RODATA = '.rodata';
  /** Two tables of `.rodata`, told apart only by who refers to them. */
  const tables: Rest = (b) =>
    b
      .section(RODATA, { body: [u64(1), u64(2), u64(3), u64(4)] })
      .func('g', body(lea({ section: RODATA }), lea({ section: RODATA }, 16)));

  test('an extent is all that may belong to one object', () => {
    // Where another one begins nothing tells: a place that others refer to may lie in the middle of what is handed out here.
    const made = changed(lea({ section: RODATA }, 16), tables);
    expect(made.sections[RODATA]).toBe(32);
    expect([16, 24].map((place) => Buffer.from(made.bytes(RODATA)).readUInt32LE(place))).toEqual([3, 4]);
    expect(made.relas('f')[0]).toBe(`${at(3)} PC32 .rodata+12`);
  });

  test('all places of an extent are reached in one copy, distances kept', () => {
    // Two copies: what runs from the one place to the other meets something else, or never ends.
    const made = changed(
      code(lea({ section: RODATA }, 16), lea({ section: RODATA }), lea({ section: RODATA }, 32)),
      tables,
    );
    expect(made.relas('f').slice(0, 3)).toEqual([
      `${at(3)} PC32 .rodata+12`,
      `${at(10)} PC32 .rodata-4`,
      `${at(17)} PC32 .rodata+28`,
    ]);
    expect(made.sections[RODATA]).toBe(32);
  });

  test('a compiler-made section is one object, entered anywhere', () => {
    const literal = '.rodata..L__const.f';
    const made = changed(code(lea({ section: literal }, 8), lea({ section: literal })), (b) =>
      b.section(literal, { body: [u64(1), ptr64('f')] }),
    );
    expect(made.sections[literal]).toBe(16);
    expect(made.relas('f').slice(0, 2)).toEqual([`${at(3)} PC32 ${literal}+4`, `${at(10)} PC32 ${literal}-4`]);
    expect(made.relas(literal)).toEqual(['+0x8 klp 64 vmlinux.f,0']);
  });

  test('an extent that cuts a pointer in two is refused', () => {
    // Half a pointer would be copied without its relocation: a null pointer in the livepatch, whichever half it is.
    const pair = [1, 2].map((value) =>
      object()
        .section(RODATA, { body: [u32(1), ptr64('g'), u32(2)] })
        .file('x.c')
        .func('f', body(movEax(value), lea({ section: RODATA })), LOCAL)
        .file('y.c')
        .func('g', body(lea({ section: RODATA }, 8)), LOCAL),
    ) as [ObjectBuilder, ObjectBuilder];
    expect(extractObjects(...pair, EXPORTS).told).toEqual(['unresolved-reference .rodata+0x0']);
  });

  test('a place outside of the section is refused', () => {
    expect(changed(lea({ section: RODATA }, 64), tables).told).toEqual(['unresolved-reference .rodata+0x40']);
    expect(changed(lea({ section: RODATA }, -8), tables).told).toEqual(['unresolved-reference .rodata-0x8']);
  });

  test("a merged constant has the size of its section's entries, not of its name", () => {
    // .rodata.cst64.sigma has entsize 160: 64 bytes of it leave the rest of the cipher's constants behind.
    const made = changed([0x0f, 0x28, 0x05, disp32({ section: '.rodata.cst64.sigma' }, 168)], (b) =>
      b.section('.rodata.cst64.sigma', {
        flags: 0x12,
        entsize: 160,
        align: 8,
        body: Uint8Array.from({ length: 320 }, (_, i) => i & 0xff),
      }),
    );
    expect(made.sections['.rodata.cst64.sigma']).toBe(160);
    expect(made.bytes('.rodata.cst64.sigma')[0]).toBe(160);
    expect(made.relas('f')[0]).toBe(`${at(3)} PC32 .rodata.cst64.sigma+4`);
  });

  test('a constant that assembler code names', () => {
    // `.section .rodata.cst256.K256, "aM"; K256: .long ...`: a label without type and size, and no counterpart in ORIG. Its content counts.
    const K256 = '.rodata.cst16.K256';
    const build = (value: number, constant: number): ObjectBuilder =>
      object()
        .file('x.S')
        .section(K256, { flags: 0x12, entsize: 16, align: 16, body: [u64(constant), u64(4)] })
        .label('K256', { section: K256, at: 0 })
        .func('f', body(movEax(value), [0x0f, 0x28, 0x05, disp32('K256')]));
    const made = extractObjects(build(1, 3), build(2, 3), EXPORTS);
    expect(made.told).toEqual([]);
    expect(made.sections[K256]).toBe(16);
    expect(made.relas('f')[0]).toBe(`${at(3)} PC32 ${K256}-4`);
    expect(extractObjects(build(1, 3), build(1, 5), EXPORTS).diff.changed).toEqual({ f: 'table' });
  });

  test('a merged constant beside one with a name', () => {
    // `icl_update_topdown_event` reads .rodata.cst8 + 8, one past `super_speed_maxpacket_maxes`: taken for its end pointer, the copy reads what follows the copy.
    const made = changed([0x48, 0x8b, 0x05, disp32({ section: '.rodata.cst8' }, 8)], (b) =>
      b.rodata('maxes', [u64(0x1111)], { section: '.rodata.cst8', ...LOCAL }).constant('.rodata.cst8', [u64(0x2222)]),
    );
    expect(Buffer.from(made.bytes('.rodata.cst8')).toString('hex')).toBe('2222000000000000');
    expect(made.relas('f')[0]).toBe(`${at(3)} PC32 .rodata.cst8-4`);
  });

  test('IDs that the build fills in after linking are refused', () => {
    // resolve_btfids writes them into vmlinux: a copy of .BTF_ids holds zeros, and every type check fails or passes.
    const ids: Rest = (b) =>
      b
        .data('__BTF_ID__struct__sock__7', [u32(0)], { section: '.BTF_ids', ...LOCAL })
        .section('.BTF_ids', { flags: 2 });
    expect(changed([0x8b, 0x05, disp32({ section: '.BTF_ids' })], ids).told).toEqual([
      'btf-ids __BTF_ID__struct__sock__7',
    ]);
  });

  test('the end of a constant is reached from its copy', () => {
    // `blake2s_compress_ssse3` loops up to .rodata.cst64.sigma + 160: one past its only constant.
    const made = changed(code(lea({ section: '.rodata.cst16' }), lea({ section: '.rodata.cst16' }, 16)), (b) =>
      b.constant('.rodata.cst16', [u64(1), u64(2)]),
    );
    expect(made.relas('f').slice(0, 2)).toEqual([`${at(3)} PC32 .rodata.cst16-4`, `${at(10)} PC32 .rodata.cst16+12`]);
    expect(made.sections['.rodata.cst16']).toBe(16);
  });

  test('unnamed data of a writable section kind goes along', () => {
    // UBSAN's locations: `.data..Lubsan_data7` has no symbol, and no twin.
    const made = changed(lea({ section: '.data..Lubsan_data7' }), (b) =>
      b.section('.data..Lubsan_data7', { body: [ptr64({ string: 'x.c' }), u64(12)] }),
    );
    expect(made.sections['.data..Lubsan_data7']).toBe(16);
    expect(made.text('.data..Lubsan_data7', 0)).toBe('x.c');
  });

  test('switch tables go along with their function', () => {
    // A copy that jumps through the kernel's own CSWTCH of another build reads another table.
    const made = changed(lea('CSWTCH.17'), (b) => b.rodata('CSWTCH.17', [u32(1), u32(2)], LOCAL));
    expect(made.relas('f')[0]).toBe(`${at(3)} PC32 CSWTCH.17-4`);
    expect(made.hex('CSWTCH.17')).toBe('0100000002000000');
  });
});

test('data reaches code and code reaches data until nothing is missing', () => {
  // A single round leaves a pointer in new data to data that nobody copied.
  const made = gains(
    lea('a'),
    (b) =>
      b
        .func('new_callee', body(movEax(3), lea('c')), LOCAL)
        .data('a', [ptr64('b')], LOCAL)
        .rodata('b', [ptr64('new_callee'), ptr64({ string: 'deep' })], LOCAL)
        .data('c', [ptr64('a'), relocated(8, 24, 'existing')], LOCAL)
        .func('unrelated', body(), LOCAL),
    EXPORTS,
  );
  expect(made.told).toEqual(['unresolved-reference existing']);
  expect(made.defined).toEqual(['a', 'b', 'c', 'f', 'new_callee', 'unrelated']);
  expect(made.relas('c')).toEqual(['+0x0 64 a']);
  expect(made.text('b', 8)).toBe('deep');
});
