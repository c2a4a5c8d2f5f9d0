/** Entries of special sections: those of included code come along, with what they name; the others do not. */
import { describe, expect, test } from 'vitest';
import { BODY, body, call, lea, movEax } from '../../support/diff-objects';
import {
  code,
  disp32,
  hex,
  object,
  plt32,
  ptr64,
  ref32,
  ref64,
  relocated,
  u16,
  u32,
  u64,
  type ObjectBuilder,
  type Target,
} from '../../support/elf-builder';
import { extractObjects, type ExtractOptions, type Extracted } from '../../support/extract-objects';

const LOCAL = { bind: 'local' } as const;
const EXPORTS = { exports: ['__x86_return_thunk'] };
/** Where the part behind the changed value begins in `f`. */
const SITE = BODY + 5;
const NOPS5 = hex('0f 1f 44 00 00');

type Part = Parameters<typeof code>[0];

/** f changes, g does not; both hold `part` at SITE; `rest` is in both builds. */
function both(
  rest: (builder: ObjectBuilder) => ObjectBuilder,
  part: Part = NOPS5 as never,
  options: ExtractOptions = EXPORTS,
): Extracted {
  const build = (value: number): ObjectBuilder =>
    rest(object().file('x.c'))
      .func('f', body(movEax(value), part as never))
      .func('g', body(movEax(9), part as never));
  return extractObjects(build(1), build(2), options);
}

describe('which entries', () => {
  test('only those of included functions, and with their keys', () => {
    // An entry of g would make the kernel rewrite code of the running kernel from the livepatch's table; one of f left behind freezes a branch.
    const made = both((b) =>
      b
        .data('key', [u64(1), u64(0)])
        .special('__jump_table', ref32('g', SITE), ref32('g', BODY), ref64('key', 2))
        .special('__jump_table', ref32('f', SITE), ref32('f', BODY), ref64('key', 3)),
    );
    expect(made.told).toEqual([]);
    expect(made.sections['__jump_table']).toBe(16);
    expect(made.relas('__jump_table')).toEqual([
      `+0x0 PC32 f+${SITE}`,
      `+0x4 PC32 f+${BODY}`,
      '+0x8 klp PC64 vmlinux.key,0+3',
    ]);
    expect(made.section('__jump_table')).toMatchObject({ align: 8, writable: true });
  });

  test('a key that only the livepatch has goes along, and its low bits stay', () => {
    // Bit 0 is the branch's default, bit 1 says init code: lost, the branch is the wrong way round.
    const orig = object()
      .file('x.c')
      .func('f', body(movEax(1), NOPS5 as never));
    const patched = object()
      .file('x.c')
      .data('fresh', [u64(1), u64(0)], LOCAL)
      .func('f', body(movEax(2), NOPS5 as never))
      .special('__jump_table', ref32('f', SITE), ref32('f', BODY), ref64('fresh', 1));
    const made = extractObjects(orig, patched, EXPORTS);
    expect(made.relas('__jump_table')[2]).toBe('+0x8 PC64 fresh+1');
    expect(made.hex('fresh')).toBe('01000000000000000000000000000000');
  });

  test('a pr_debug() brings its record, with the key in it', () => {
    // Numbered anew in each build, it has no twin: bound to the kernel's of that name, the branch is another call's.
    const made = both((b) =>
      b
        .data(
          '__UNIQUE_ID_ddebug7',
          [
            ptr64({ string: 'mod' }),
            ptr64({ string: 'f' }),
            ptr64({ string: 'x.c' }),
            ptr64({ string: 'value %d' }),
            u64(40),
            u64(0),
            u64(0),
          ],
          { section: '__dyndbg', ...LOCAL },
        )
        .special('__jump_table', ref32('f', SITE), ref32('f', BODY), ref64('__UNIQUE_ID_ddebug7', 40)),
    );
    expect(made.told).toEqual([]);
    expect(made.relas('__jump_table')[2]).toBe('+0x8 PC64 __UNIQUE_ID_ddebug7+40');
    expect(made.sections['__dyndbg']).toBe(56);
    expect(made.text('__dyndbg', 24)).toBe('value %d');
  });

  test('static calls keep their key and the tail bit', () => {
    // The half with the key has no reference to code: split into 4-byte entries it is lost.
    const made = both(
      (b) =>
        b
          .data('__SCK__might_resched', [u64(0)])
          .func('__SCT__might_resched', hex('e9 00 00 00 00 0f b9 cc'))
          .special('.static_call_sites', ref32('f', SITE), ref32('__SCK__might_resched', 1)),
      [0xe8, plt32('__SCT__might_resched')],
    );
    expect(made.sections['.static_call_sites']).toBe(8);
    expect(made.relas('.static_call_sites')).toEqual([
      `+0x0 PC32 f+${SITE}`,
      '+0x4 klp PC32 vmlinux.__SCK__might_resched,0+1',
    ]);
    expect(made.relas('f')[0]).toBe(`+0x${(SITE + 1).toString(16)} klp PLT32 vmlinux.__SCT__might_resched,0-4`);
  });

  test('exception fixups point into the copy', () => {
    // Left behind, a fault in the copy is an oops; pointing to the old function, it goes on there.
    const made = both((b) =>
      b
        .special('__ex_table', ref32('g', SITE), ref32('g', SITE + 5), u32(3))
        .special('__ex_table', ref32('f', SITE), ref32('f', SITE + 5), u32(7)),
    );
    expect(made.relas('__ex_table')).toEqual([`+0x0 PC32 f+${SITE}`, `+0x4 PC32 f+${SITE + 5}`]);
    expect(made.hex('__ex_table')).toBe('000000000000000007000000');
  });

  test('entries of a cold part come with its function', () => {
    // The bug record of a WARN that GCC moved out of the way.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body(movEax(value), [0x0f, 0x84, plt32('f.cold')]))
        .func('f.cold', hex('0f 0b c3'), { ...LOCAL, section: '.text.unlikely.f' })
        .special('__bug_table', ref32('f.cold'), u32(0), ref32({ string: 'x.c' }), u16(12), u16(0x905));
    const made = extractObjects(build(1), build(2), EXPORTS);
    expect(made.relas('__bug_table')).toEqual(['+0x0 PC32 f.cold', '+0x8 PC32 .rodata.str1.1']);
  });

  test('unknown entry sizes are refused', () => {
    expect(both((b) => b.special('__jump_table', ref32('f', SITE), u32(1), u32(2), u32(3), u32(4))).told).toContain(
      'special-entry-size __jump_table',
    );
  });
});

describe('alternatives', () => {
  const SECTION = '.altinstr_replacement';
  /** An entry for `site` with `length` bytes of replacement at `from`. */
  const entry = (site: Target, plus: number, from: number, length: number): Parameters<ObjectBuilder['special']> => [
    '.altinstructions',
    ref32(site, plus),
    ref32({ section: SECTION }, from),
    u16(9),
    u16(0),
    5,
    length,
  ];

  test('the replacement comes along whole, with its own references', () => {
    // Without it the loader copies whatever follows; copied without its references the call goes to 0.
    const made = both((b) =>
      b
        .func('helper', body())
        .func('erms', body())
        .section(SECTION, { body: code(call('erms'), call('helper')) })
        .special(...entry('g', SITE, 0, 5))
        .special(...entry('f', SITE, 5, 5)),
    );
    expect(made.told).toEqual([]);
    expect(made.relas('.altinstructions')).toEqual([`+0x0 PC32 f+${SITE}`, `+0x4 PC32 ${SECTION}`]);
    expect(made.sections[SECTION]).toBe(5);
    expect(made.relas(SECTION)).toEqual(['+0x1 klp PLT32 vmlinux.helper,0-4']);
  });

  test('the address of an empty replacement is dropped', () => {
    // It is the next entry's, of another function: upstream's tool takes that one's code along.
    const made = both((b) =>
      b
        .func('helper', body())
        .section(SECTION, { body: code(call('helper')) })
        .special(...entry('f', SITE, 0, 0))
        .special(...entry('g', SITE, 0, 5)),
    );
    expect(made.relas('.altinstructions')).toEqual([`+0x0 PC32 f+${SITE}`]);
    expect(made.sections[SECTION]).toBeUndefined();
  });

  test('a replacement that two entries share is copied once', () => {
    const made = both((b) =>
      b
        .section(SECTION, { body: hex('90 90 90 90 90') })
        .special(...entry('f', SITE, 0, 5))
        .special(...entry('f', BODY, 0, 5)),
    );
    expect(made.sections).toMatchObject({ '.altinstructions': 28, [SECTION]: 5 });
  });

  test('a replacement outside of its section is refused', () => {
    expect(both((b) => b.section(SECTION, { body: hex('90 90') }).special(...entry('f', SITE, 0, 5))).told).toEqual([
      'unresolved-reference an entry of .altinstructions',
    ]);
  });

  test.each([
    ['6.3 on', [u16(9), u16(0), 5, 5]],
    ["4.0 to 5.12, with the padding's length behind", [u16(9), 5, 5, 0]],
    ['5.13 to 6.2', [u16(9), 5, 5]],
  ] as const)('the length of a replacement, %s', (_releases, tail) => {
    // Taken from the last byte of a 13-byte entry it is 0: the replacement stays behind, and the loader copies what lies at its place.
    const made = both((b) =>
      b
        .func('helper', body())
        .section(SECTION, { body: code(call('helper')) })
        .special('.altinstructions', ref32('f', SITE), ref32({ section: SECTION }), ...tail)
        .special('.altinstructions', ref32('g', SITE), ref32({ section: SECTION }), ...tail),
    );
    expect(made.told).toEqual([]);
    expect(made.sections).toMatchObject({
      [SECTION]: 5,
      '.altinstructions': 8 + tail.reduce<number>((sum, part) => sum + (typeof part === 'number' ? 1 : part.width), 0),
    });
    expect(made.relas(SECTION)).toEqual(['+0x1 klp PLT32 vmlinux.helper,0-4']);
  });

  test('a replacement with a name, in this unit or another', () => {
    // `__x86_indirect_alt_call_rax` of 5.12 to 5.14 is a function of arch/x86/lib/retpoline.S.
    const here = (b: ObjectBuilder): ObjectBuilder =>
      b
        .func('__x86_indirect_alt_call_rax', hex('90 90 90 ff d0'), { section: '.altinstr_replacement' })
        .special('.altinstructions', ref32('f', SITE), ref32('__x86_indirect_alt_call_rax', 3), u16(9), u16(0), 5, 2);
    expect(both(here).relas('.altinstructions')[1]).toBe(`+0x4 PC32 ${SECTION}`);
    expect(Buffer.from(both(here).bytes(SECTION)).toString('hex')).toBe('ffd0');
    const elsewhere = (b: ObjectBuilder): ObjectBuilder =>
      b
        .undef('__x86_indirect_alt_call_rax')
        .special('.altinstructions', ref32('f', SITE), ref32('__x86_indirect_alt_call_rax'), u16(9), u16(0), 5, 5);
    expect(
      both(elsewhere, NOPS5 as never, { ...EXPORTS, kernel: ['f', '__x86_indirect_alt_call_rax'] }).relas(
        '.altinstructions',
      )[1],
    ).toBe('+0x4 klp PC32 vmlinux.__x86_indirect_alt_call_rax,0');
  });

  test('data that only a replacement needs goes along', () => {
    // An entry that brings code that brings data that brings code: one round over the special sections misses the end of it.
    const orig = object()
      .file('x.c')
      .func('f', body(movEax(1), NOPS5 as never));
    const patched = object()
      .file('x.c')
      .func('callee', body(lea({ string: 'deep' })), LOCAL)
      .rodata('ops', [ptr64('callee')], LOCAL)
      .section(SECTION, { body: code([0x48, 0x8b, 0x3d, disp32('ops')]) })
      .func('f', body(movEax(2), NOPS5 as never))
      .special(...entry('f', SITE, 0, 7));
    const made = extractObjects(orig, patched, EXPORTS);
    expect(made.told).toEqual([]);
    expect(made.defined).toEqual(['callee', 'f', 'ops']);
    expect(made.relas(SECTION)).toEqual(['+0x3 PC32 ops-4']);
    expect(made.relas('ops')).toEqual(['+0x0 64 callee']);
  });

  test('the jump to boot-only code of a feature test is dropped', () => {
    // `.altinstr_aux` is gone after boot: a jump there runs into freed memory. Without it the code goes on, and the entry decides at load.
    const made = both(
      (b) => b.section('.altinstr_aux', { body: hex('f6 05 00 00 00 00 01 c3') }).special(...entry('f', SITE, 0, 0)),
      [0xe9, relocated(4, 4, { section: '.altinstr_aux' }, -4, 0x55)],
    );
    expect(made.told).toEqual([]);
    expect(made.relas('f')).toEqual(['+0x14 PLT32 __x86_return_thunk-4']);
    expect(made.hex('f').slice(SITE * 2, SITE * 2 + 10)).toBe('e900000000');
    expect(made.sections['.altinstr_aux']).toBeUndefined();
  });
});

describe('bug records', () => {
  const record = (site: string, plus: number): Parameters<ObjectBuilder['special']> => [
    '__bug_table',
    ref32(site, plus),
    ref32({ string: 'limit %d' }),
    ref32({ string: 'x.c' }),
    u16(12),
    u16(0x905),
  ];

  test('one that code passes to a function is the one of its table', () => {
    // `__WARN_trap` gets its record's address (964 times): two copies, or one missing, print another warning or none.
    const made = both(
      (b) =>
        b
          .special(...record('g', SITE))
          .special(...record('f', SITE))
          .string('pad'),
      [0x48, 0x8d, 0x3d, disp32({ section: '__bug_table' }, 16)],
    );
    expect(made.told).toEqual([]);
    expect(made.sections['__bug_table']).toBe(16);
    expect(made.relas('f')[0]).toBe(`+0x${(SITE + 3).toString(16)} PC32 __bug_table-4`);
    expect(made.relas('__bug_table').length).toBe(3);
    expect([made.text('__bug_table', 4), made.text('__bug_table', 8)]).toEqual(['limit %d', 'x.c']);
  });

  test('12 bytes in kernels before 7', () => {
    const made = both((b) =>
      b
        .special('__bug_table', ref32('g', SITE), ref32({ string: 'g.c' }), u16(1), u16(2))
        .special('__bug_table', ref32('f', SITE), ref32({ string: 'f.c' }), u16(3), u16(4)),
    );
    expect(made.hex('__bug_table')).toBe('000000000000000003000400');
    expect(made.text('__bug_table', 4)).toBe('f.c');
  });
});

describe('patches of a module', () => {
  const MODULE = { objectName: 'nfs', ...EXPORTS };
  const keyed = (key: string, options: ExtractOptions = MODULE): Extracted =>
    both(
      (b) =>
        b
          .data(key, [u64(1), u64(0), u64(0), u64(0)])
          .special('__jump_table', ref32('f', SITE), ref32('f', BODY), ref64(key)),
      NOPS5 as never,
      options,
    );

  test("a static branch with the module's key is refused", () => {
    // The key's relocation is applied after jump labels are set up: the branch would be looked up by address 0.
    expect(keyed('nfs_key').told).toEqual(['late-key nfs_key']);
    expect(keyed('nfs_key', EXPORTS).told).toEqual([]);
  });

  test('tracepoints and pr_debug stay off, with a warning', () => {
    // Refused, hardly any function of a module could be patched.
    for (const key of ['__tracepoint_nfs_read', 'nfs.__UNIQUE_ID_ddebug_12']) {
      const made = keyed(key);
      expect(made.told, key).toEqual([`late-key-dropped ${key}`]);
      expect(made.sections['__jump_table'], key).toBeUndefined();
    }
  });

  test('static calls likewise; those of tracepoints without a word', () => {
    const site = (key: string): Extracted =>
      both(
        (b) => b.data(key, [u64(0)]).special('.static_call_sites', ref32('f', SITE), ref32(key)),
        NOPS5 as never,
        MODULE,
      );
    expect(site('__SCK__nfs_op').told).toEqual(['late-key __SCK__nfs_op']);
    expect(site('__SCK__tp_func_nfs_read')).toMatchObject({
      told: [],
      sections: expect.not.objectContaining({ '.static_call_sites': 8 }),
    });
  });

  test('a static call by its trampoline is no better', () => {
    // A key that is not exported: the field names the trampoline, which is looked up in the kernel's table when the site is set up.
    const made = both(
      (b) =>
        b
          .func('__SCT__nfs_op', hex('e9 00 00 00 00 0f b9 cc'))
          .special('.static_call_sites', ref32('f', SITE), ref32('__SCT__nfs_op')),
      NOPS5 as never,
      MODULE,
    );
    expect(made.told).toEqual(['late-relocation __SCT__nfs_op']);
  });

  test("the module's symbols in replacement code are refused", () => {
    // The loader copies the replacement while its relocation is still to come.
    const alternative = (options: ExtractOptions): Extracted =>
      both(
        (b) =>
          b
            .func('nfs_helper', body())
            .section('.altinstr_replacement', { body: code(call('nfs_helper')) })
            .special(
              '.altinstructions',
              ref32('f', SITE),
              ref32({ section: '.altinstr_replacement' }),
              u16(9),
              u16(0),
              5,
              5,
            ),
        NOPS5 as never,
        options,
      );
    expect(alternative(MODULE).told).toEqual(['late-relocation nfs_helper']);
    expect(alternative(EXPORTS).told).toEqual([]);
    expect(alternative({ ...MODULE, exports: [...EXPORTS.exports, 'nfs_helper@nfs'] }).told).toEqual([
      'late-relocation nfs_helper',
    ]);
  });

  test('... and in the instruction that it replaces, but not beside it', () => {
    // "Invalid relocation target, existing value is nonzero": the patched module no longer loads.
    const site = (plus: number): Extracted =>
      both(
        (b) =>
          b
            .func('nfs_helper', body())
            .section('.altinstr_replacement', { body: hex('90 90 90 90 90') })
            .special(
              '.altinstructions',
              ref32('f', SITE + plus),
              ref32({ section: '.altinstr_replacement' }),
              u16(9),
              u16(0),
              5,
              5,
            ),
        code(call('nfs_helper'), NOPS5),
        MODULE,
      );
    expect(site(0).told).toEqual(['late-relocation nfs_helper']);
    expect(site(5).told).toEqual([]);
  });
});

describe('callbacks', () => {
  const hook =
    (name: string): ((b: ObjectBuilder) => ObjectBuilder) =>
    (b) =>
      b
        .func('before', body(movEax(3)), LOCAL)
        .data(name, [ptr64('before')], { section: '.discard.klp_callback_ptrs', ...LOCAL });

  test("a function that the patch's author set is found by the pointer's name", () => {
    // The section is dropped by the linker: without a look at it the callback is dead code.
    for (const objectName of ['vmlinux', 'nfs']) {
      const made = extractObjects(
        object()
          .file('x.c')
          .func('f', body(movEax(1))),
        hook(`__klp_pre_patch_callback_${objectName}`)(object().file('x.c')).func('f', body(movEax(2))),
        { objectName, ...EXPORTS },
      );
      expect(made.told).toEqual([]);
      expect(made.object.callbacks).toEqual({ pre_patch: made.symbol('before') });
    }
  });

  test('one that is no new function is refused', () => {
    // Passed over in silence, the livepatch loads and the callback never runs.
    const patched = object()
      .file('x.c')
      .func('g', body())
      .func('f', body(movEax(2)))
      .data('__klp_post_unpatch_callback_vmlinux', [ptr64('g')], { section: '.discard.klp_callback_ptrs', ...LOCAL });
    expect(
      extractObjects(
        object()
          .file('x.c')
          .func('g', body())
          .func('f', body(movEax(1))),
        patched,
        EXPORTS,
      ).told,
    ).toEqual(['unresolved-reference __klp_post_unpatch_callback_vmlinux']);
  });

  test("one of another object is not this one's", () => {
    const made = extractObjects(
      object()
        .file('x.c')
        .func('f', body(movEax(1))),
      hook('__klp_post_patch_callback_ext4')(object().file('x.c')).func('f', body(movEax(2))),
      EXPORTS,
    );
    expect(made.object.callbacks).toEqual({});
  });
});
