import { describe, expect, test } from 'vitest';
import { Side } from '../../../src/stages/side/side';
import { entriesOf } from '../../../src/stages/compare/entries';
import { SPECIAL_TRAITS, Trait, readTable, type ScanTable } from '../../../src/stages/scan';
import { encodeTable } from '../../../src/records';
import {
  BODY,
  NOTHING,
  body,
  call,
  diffObjects,
  inc,
  movEax,
  opened,
  scan,
  symbolsOf,
  traced,
} from '../../support/diff-objects';
import {
  code,
  hex,
  object,
  plt32,
  ref32,
  ref64,
  u16,
  u32,
  u64,
  type Body,
  type ObjectBuilder,
  type Target,
} from '../../support/elf-builder';
import { base, jump, type Entry } from '../../support/special-tables';

test('a table is recorded the same whether its special sections were read before or not', () => {
  // Both happen at the same time, on two threads: else the record would depend on which was faster.
  const builder = traced(base(), 'f', 'g');
  const before = readTable(opened(builder));
  const { object: elf, table } = scan(builder);
  const [f] = symbolsOf({ table, object: elf }, 'f');
  expect([table.has(f!, Trait.TRACEABLE), before.has(f!, Trait.TRACEABLE)]).toEqual([true, false]);
  const recorded = (columns: ScanTable): string =>
    Buffer.concat([...encodeTable(columns, elf.machine, elf.little, SPECIAL_TRAITS)].flat()).toString('hex');
  expect(recorded(table)).toBe(recorded(before));
});

describe('many entries', () => {
  test('each is found by its function, also where the WebAssembly hands out the next thousand', () => {
    // It leaves 1,024 at a time: one lost between two times is a fixup that the livepatch lacks.
    const COUNT = 2500;
    const builder = object()
      .file('x.c')
      .data('key', [u64(0), u64(0)]);
    for (let i = 0; i < COUNT; i++) builder.func(`f${i}`, body(movEax(i)));
    // The first function has the last entry, too, and another table follows.
    for (let i = 0; i <= COUNT; i++)
      builder.special('__jump_table', ref32(`f${i % COUNT}`, BODY), ref32(`f${i % COUNT}`, BODY + 5), ref64('key'));
    builder.special('__ex_table', ref32('f1024', BODY), ref32('f1024', BODY + 5), u32(3));
    const { object: elf, table } = scan(builder);
    const side = new Side(elf, table);
    const found = Array.from({ length: COUNT }, (_, i) =>
      entriesOf(side, symbolsOf({ table, object: elf }, `f${i}`)[0]!).map(
        (entry) => `${entry.table.rules.name} ${entry.start}`,
      ),
    );
    expect(found).toEqual(
      Array.from({ length: COUNT }, (_, i) => [
        `__jump_table ${i * 16}`,
        ...(i === 0 ? [`__jump_table ${COUNT * 16}`] : []),
        ...(i === 1024 ? ['__ex_table 0'] : []),
      ]),
    );
  });
});

describe('meaning of entries', () => {
  test('the same entries in other places of other tables mean the same', () => {
    // Every entry of vmlinux.o moves when one is added before it; addresses are relative to their own places.
    const build = (shift: number): ObjectBuilder => {
      const builder = base(shift);
      if (shift > 0) builder.special('__jump_table', ref32('neighbour', BODY), ref32('neighbour', BODY), ref64('key2'));
      return jump(builder).special('__ex_table', ref32('f', BODY), ref32('f', BODY + 5), u32(3));
    };
    const diff = diffObjects(build(0), build(1));
    expect(diff).toMatchObject({ changed: {}, added: ['neighbour'], told: ['nothing-redirected neighbour'] });
  });

  const entries: Array<
    [
      what: string,
      why: string,
      orig: (builder: ObjectBuilder) => ObjectBuilder,
      patched: (builder: ObjectBuilder) => ObjectBuilder,
    ]
  > = [
    [
      'jump label key',
      'static_branch_unlikely(&key) becomes key2: the code is the same NOP',
      (b) => jump(b),
      (b) => jump(b, 'key2'),
    ],
    [
      'jump label default',
      'DEFINE_STATIC_KEY_TRUE instead of FALSE: bit 0 of the key field',
      (b) => jump(b, 'key', 0),
      (b) => jump(b, 'key', 1),
    ],
    [
      'jump label target',
      'the branch goes somewhere else',
      (b) => jump(b),
      (b) => b.special('__jump_table', ref32('f', BODY + 5), ref32('f', BODY), ref64('key')),
    ],
    [
      'exception table handler type',
      'EX_TYPE_UACCESS (3) becomes EX_TYPE_DEFAULT (1): a fault is handled otherwise',
      (b) => b.special('__ex_table', ref32('f', BODY), ref32('f', BODY + 5), u32(3)),
      (b) => b.special('__ex_table', ref32('f', BODY), ref32('f', BODY + 5), u32(1)),
    ],
    [
      'exception table fixup',
      'the fixup is elsewhere',
      (b) => b.special('__ex_table', ref32('f', BODY), ref32('f', BODY + 5), u32(3)),
      (b) => b.special('__ex_table', ref32('f', BODY), ref32('f', BODY + 10), u32(3)),
    ],
    [
      'static call key',
      'static_call(a) becomes static_call(b): the call goes to a trampoline that the same relocation may name',
      (b) => b.special('.static_call_sites', ref32('f', BODY), ref32('key')),
      (b) => b.special('.static_call_sites', ref32('f', BODY), ref32('key2')),
    ],
    [
      'static call tail bit',
      'a tail call becomes a call',
      (b) => b.special('.static_call_sites', ref32('f', BODY), ref32('key', 0)),
      (b) => b.special('.static_call_sites', ref32('f', BODY), ref32('key', 1)),
    ],
    [
      'bug flags, 12 bytes',
      'WARN_ON becomes BUG_ON, or WARN_ON_ONCE: only the flags say so',
      (b) => b.special('__bug_table', ref32('f', BODY), ref32({ string: 'x.c' }), u16(10), u16(0x901)),
      (b) => b.special('__bug_table', ref32('f', BODY), ref32({ string: 'x.c' }), u16(10), u16(0x903)),
    ],
    [
      'bug format, 16 bytes',
      'the format of WARN is in the entry since 6.19',
      (b) =>
        b.special(
          '__bug_table',
          ref32('f', BODY),
          ref32({ string: 'a %d' }),
          ref32({ string: 'x.c' }),
          u16(10),
          u16(1),
        ),
      (b) =>
        b.special(
          '__bug_table',
          ref32('f', BODY),
          ref32({ string: 'b %d' }),
          ref32({ string: 'x.c' }),
          u16(10),
          u16(1),
        ),
    ],
    [
      'alternatives feature',
      'another CPU feature selects the replacement',
      (b) => alternative(b, 309, hex('0f 01 ca')),
      (b) => alternative(b, 310, hex('0f 01 ca')),
    ],
    [
      'alternatives flags',
      'ALT_NOT: applied when the feature is absent',
      (b) => alternative(b, 309, hex('0f 01 ca')),
      (b) => alternative(b, 309, hex('0f 01 ca'), 1),
    ],
    [
      'alternatives replacement',
      'clac becomes stac: the site itself is NOPs in both',
      (b) => alternative(b, 309, hex('0f 01 ca')),
      (b) => alternative(b, 309, hex('0f 01 cb')),
    ],
    [
      'alternatives replacement call',
      'the replacement calls another function',
      (b) => alternative(b, 309, [0xe8, plt32('handler')]),
      (b) => alternative(b, 309, [0xe8, plt32('g')]),
    ],
    [
      'runtime constant',
      "the section's name says which variable boot code writes",
      (b) => b.special('runtime_ptr_dentry_hashtable', ref32('f', BODY)),
      (b) => b.special('runtime_ptr_inode_hashtable', ref32('f', BODY)),
    ],
    ['an entry more', 'a site became a jump label', (b) => b, (b) => jump(b)],
  ];

  function alternative(builder: ObjectBuilder, feature: number, replacement: Body, flags = 0): ObjectBuilder {
    const length = replacement instanceof Uint8Array ? replacement.length : 5;
    return builder
      .section('.altinstr_replacement', { body: replacement })
      .special(
        '.altinstructions',
        ref32('f', BODY),
        ref32({ section: '.altinstr_replacement' }),
        u16(feature),
        u16(flags),
        5,
        length,
      );
  }

  for (const [what, why, orig, patched] of entries) {
    test(`${what} makes its function changed, class special-entry`, () => {
      // {why}: the function's bytes and relocations are the same in both builds.
      const diff = diffObjects(orig(base()), patched(base()));
      expect(diff.changed, why).toEqual({ f: 'special-entry' });
      // The counterpart: the entry as it was.
      expect(diffObjects(orig(base()), orig(base(1))).changed).toEqual({});
    });
  }

  for (const [size, entry] of [
    [12, (line: number): Entry => [ref32('f', BODY), ref32({ string: 'x.c' }), u16(line), u16(1)]],
    [
      16,
      (line: number): Entry => [
        ref32('f', BODY),
        ref32({ string: 'fmt' }),
        ref32({ string: 'x.c' }),
        u16(line),
        u16(1),
      ],
    ],
  ] as const) {
    test(`the line of a ${size}-byte bug entry does not count`, () => {
      // 9,104 entries carry a line: one line added at the top of a header would patch half of the kernel.
      const diff = diffObjects(
        base().special('__bug_table', ...entry(100)),
        base().special('__bug_table', ...entry(101)),
      );
      expect(diff).toMatchObject({ changed: {}, told: [], ignored: { f: 'line' } });
    });
  }

  test('the file name of a bug entry does not count', () => {
    // Built in another folder, all 9,104 entries name another file.
    const build = (file: string): ObjectBuilder =>
      base().special('__bug_table', ref32('f', BODY), ref32({ string: file }), u16(1), u16(1));
    expect(diffObjects(build('a/x.c'), build('b/x.c'))).toMatchObject(NOTHING);
  });

  test('a zero-length replacement has no content', () => {
    // Its address is the next entry's: read as content, a function would change with its neighbour's replacement.
    const build = (next: string): ObjectBuilder =>
      base()
        .section('.altinstr_replacement', { body: hex(next) })
        .special(
          '.altinstructions',
          ref32('f', BODY),
          ref32({ section: '.altinstr_replacement' }),
          u16(1),
          u16(0),
          5,
          0,
        )
        .special(
          '.altinstructions',
          ref32('g', BODY),
          ref32({ section: '.altinstr_replacement' }),
          u16(2),
          u16(0),
          5,
          3,
        );
    expect(diffObjects(build('0f 01 ca'), build('0f 01 cb')).changed).toEqual({ g: 'special-entry' });
  });

  test('a jump label key of one name that is another key', () => {
    // DO_ONCE makes ___once_key.N: two keys of one base name. The patch makes f test the other one.
    const build = (key: string): ObjectBuilder =>
      object()
        .file('x.c')
        .data('once_key.1', [u64(1), u64(0)], { bind: 'local' })
        .data('once_key.2', [u64(1), u64(0)], { bind: 'local' })
        .func('one', body(inc('once_key.1')))
        .func('two', body(inc('once_key.2'), movEax(1)))
        .func('f', body(movEax(1), hex('90 90 90 90 90'), movEax(2)))
        .special('__jump_table', ref32('f', BODY + 5), ref32('f', BODY + 10), ref64(key));
    const diff = diffObjects(build('once_key.1'), build('once_key.2'));
    // Whether by contradiction or by evidence: not in silence.
    expect([...Object.keys(diff.changed), ...diff.told].length).toBeGreaterThan(0);
  });

  test('an alternative that calls another function of the same name is a change', () => {
    // A digest knows helper.llvm by its base name; the replacement runs in place of the site.
    const build = (callee: string): ObjectBuilder =>
      object()
        .file('x.c')
        .func('helper.llvm.111', body(movEax(1)))
        .func('helper.llvm.222', body(movEax(2)))
        .func('plain', body())
        .func('f', body(call('plain')))
        .section('.altinstr_replacement', { body: code(call(callee)) })
        .special(
          '.altinstructions',
          ref32('f', BODY),
          ref32({ section: '.altinstr_replacement' }),
          u16(9),
          u16(0),
          5,
          5,
        );
    expect(diffObjects(build('helper.llvm.111'), build('helper.llvm.111').bss('more', 4)).changed).toEqual({});
    expect(diffObjects(build('helper.llvm.111'), build('helper.llvm.222')).changed).toEqual({ f: 'special-entry' });
  });
});

describe('runtime constants', () => {
  const PLACEHOLDER = hex('48 b8 ef cd ab 89 67 45 23 01');
  const lookup = (value: number, load: Uint8Array = PLACEHOLDER): ObjectBuilder =>
    object()
      .file('dcache.c')
      .bss('dentry_hashtable', 8)
      .func('__d_lookup', body(load, movEax(value)));

  test('a pointer in a changed function is accepted: it can be made a load', () => {
    // Refused, no change of vfs_read, __d_lookup or _copy_from_user could be patched (173 functions of 7.2).
    const build = (value: number): ObjectBuilder =>
      lookup(value).special('runtime_ptr_dentry_hashtable', ref32('__d_lookup', BODY + 2));
    expect(diffObjects(build(1), build(2))).toMatchObject({ changed: { __d_lookup: 'code' }, told: [] });
  });

  test('a shift in a changed function is refused', () => {
    // The clone would shift by the placeholder 12: lookups go to wrong hash buckets.
    const shift = (value: number): ObjectBuilder =>
      lookup(value, hex('c1 e8 0c')).special('runtime_shift_d_hash_shift', ref32('__d_lookup', BODY + 2));
    expect(diffObjects(shift(1), shift(2)).told).toEqual(['runtime-constant __d_lookup']);
    // Not where the function is not included.
    expect(diffObjects(shift(1), shift(1).bss('more', 4)).told).toEqual([]);
  });

  for (const [what, bytes] of [
    ['another register form', '48 c7 c0 ef cd ab 89 67 45 23 01'],
    ['another placeholder', '48 b8 00 00 00 00 00 00 00 00'],
    ['no REX.W', '40 b8 ef cd ab 89 67 45 23 01'],
  ] as const) {
    test(`a pointer in ${what} is refused`, () => {
      // The rewrite knows exactly one encoding; anything else would be spoilt in place.
      const load = hex(bytes);
      const build = (value: number): ObjectBuilder =>
        lookup(value, load).special('runtime_ptr_dentry_hashtable', ref32('__d_lookup', BODY + load.length - 8));
      expect(diffObjects(build(1), build(2)).told).toEqual(['runtime-constant __d_lookup']);
    });
  }

  test('a pointer within an alternatives site is refused', () => {
    // Both boot code and the rewrite would write there.
    const build = (value: number): ObjectBuilder =>
      lookup(value)
        .special('runtime_ptr_dentry_hashtable', ref32('__d_lookup', BODY + 2))
        .section('.altinstr_replacement', { body: hex('0f 01 ca') })
        .special(
          '.altinstructions',
          ref32('__d_lookup', BODY),
          ref32({ section: '.altinstr_replacement' }),
          u16(1),
          u16(0),
          10,
          3,
        );
    expect(diffObjects(build(1), build(2)).told).toEqual(['runtime-constant __d_lookup']);
  });
});

test('an entry about a cold part changes its function', () => {
  // Block partitioning moves the WARN into f.cold, whose owner the entry names.
  const build = (flags: number): ObjectBuilder =>
    object()
      .file('x.c')
      .func('f', body(call('f.cold')), { bind: 'global' })
      .func('f.cold', code(hex('0f 0b 90 c3')), { bind: 'local', section: '.text.unlikely.f' })
      .special('__bug_table', ref32('f.cold'), ref32({ string: 'x.c' } as Target), u16(1), u16(flags));
  expect(diffObjects(build(1), build(3)).changed).toEqual({ f: 'special-entry' });
  expect(diffObjects(build(1), build(1).bss('more', 4)).changed).toEqual({});
});
