/**
 * Which static is which where functions changed: a livepatch bound to the wrong one counts in another's place, silently.
 * Names say nothing here (GCC numbers statics of one name anew in every build), so instructions have to.
 */
import { describe, expect, test } from 'vitest';
import { body, call, diffObjects, inc, lea, movEax } from '../../support/diff-objects';
import { code, disp32, hex, object, ptr64, u64, type Body, type ObjectBuilder } from '../../support/elf-builder';

const LOCAL = { bind: 'local' } as const;

/** Statics by name and size, and functions by what is in them. */
function unit(statics: Record<string, number>, functions: Record<string, Body[]>): ObjectBuilder {
  const builder = object().file('u.c');
  for (const [name, size] of Object.entries(statics)) builder.bss(name, size, LOCAL);
  for (const [name, parts] of Object.entries(functions)) builder.func(name, body(...parts));
  return builder;
}

const call0 = (name: string): Body => call(name);
const cmp = (name: string): Body => code(hex('80 3d'), disp32(name, -5), 0);
const set = (name: string): Body => code(hex('c6 05'), disp32(name, -5), 1);

describe('statics of one name in a function that changed', () => {
  test('pair by the instruction that uses them', () => {
    // DO_ONCE twice in inet6_ehashfn: two `___done`, and the changed expression stands behind both.
    const build = (a: string, b: string, last: number): ObjectBuilder =>
      unit(
        { 'done.1': 1, 'done.2': 1 },
        { f: [movEax(1), lea(a), call0('start'), movEax(2), lea(b), call0('stop'), movEax(last)] },
      )
        .undef('start')
        .undef('stop');
    const diff = diffObjects(build('done.1', 'done.2', 3), build('done.2', 'done.1', 4));
    expect([diff.twin('done.1'), diff.twin('done.2')]).toEqual([
      { name: 'done.2', rule: 'aligned' },
      { name: 'done.1', rule: 'aligned' },
    ]);
    expect(diff).toMatchObject({ changed: { f: 'code' }, told: [], data: { added: [] } });
  });

  // GCC 12 laid the cold block of "352" behind that of "744" when a patch put one between them: in order, the new flag was taken for it.
  test('a block that says the same in both builds is one, wherever a compiler put it', () => {
    const test1 = (name: string): Body[] => [cmp(name), hex('75 00')];
    const cold = (name: string, says: string): Body[] => [set(name), lea(says), hex('eb 00')];
    const build = (flags: string[], blocks: Array<[string, string]>): ObjectBuilder =>
      unit(Object.fromEntries([...flags].sort().map((name) => [name, 1])), {
        f: [...flags.flatMap(test1), hex('c3'), ...blocks.flatMap(([name, says]) => cold(name, says))],
      })
        .undef('says_352')
        .undef('says_744')
        .undef('says_807');
    const diff = diffObjects(
      build(
        ['done.11', 'done.10'],
        [
          ['done.10', 'says_352'],
          ['done.11', 'says_744'],
        ],
      ),
      build(
        ['done.13', 'done.12', 'done.11'],
        [
          ['done.12', 'says_807'],
          ['done.13', 'says_744'],
          ['done.11', 'says_352'],
        ],
      ),
    );
    expect([undefined, 'done.11']).toContain(diff.twin('done.10')?.name);
    expect([undefined, 'done.13']).toContain(diff.twin('done.11')?.name);
  });

  test('of two equal blocks one went, and nothing tells which: refused', () => {
    const diff = diffObjects(
      unit({ 't.1': 4, 't.2': 4 }, { f: [inc('t.1'), inc('t.2')] }),
      unit({ 't.1': 4 }, { f: [inc('t.1')] }),
    );
    expect(diff.twin('t.1')).toBeUndefined();
    expect(diff.told).toEqual(['ambiguous-data t.1']);
  });

  test('of two different blocks one went: what is left keeps its own', () => {
    // The number of the one that is gone is the other's now.
    const diff = diffObjects(
      unit({ 't.1': 4, 't.2': 4 }, { f: [movEax(3), inc('t.1'), call0('a'), movEax(9), inc('t.2'), call0('b')] })
        .undef('a')
        .undef('b'),
      unit({ 't.1': 4 }, { f: [movEax(9), inc('t.1'), call0('b')] }).undef('b'),
    );
    expect([diff.twin('t.1'), diff.twin('t.2')]).toEqual([undefined, { name: 't.1', rule: 'aligned' }]);
    expect(diff.told).toEqual([]);
  });

  test('all uses of a variable go together: one that came in front takes none of them', () => {
    // A third pr_warn_once: its test of the flag is as good as the old one's, as long as the old one's store may go with another store.
    const block = (flag: string, message: string): Body[] => [inc(flag), call0(message), inc(flag)];
    const diff = diffObjects(
      unit({ 't.1': 4, 't.2': 4 }, { f: [...block('t.1', 'a'), ...block('t.2', 'b')] })
        .undef('a')
        .undef('b'),
      unit(
        { 't.1': 4, 't.2': 4, 't.3': 4 },
        { f: [...block('t.1', 'new'), ...block('t.2', 'a'), ...block('t.3', 'b')] },
      )
        .undef('a')
        .undef('b')
        .undef('new'),
    );
    expect([diff.twin('t.1')?.name, diff.twin('t.2')?.name]).toEqual(['t.2', 't.3']);
    expect(diff).toMatchObject({ told: [], data: { added: ['t.1'] } });
  });

  test('what each block says counts: one removed and one added behind is no move of all by one', () => {
    // Instruction by instruction the third block goes with the second best, and its flag would be the removed one's.
    const block = (flag: string, message: string): Body[] => [
      lea(flag),
      call0('limit'),
      movEax(1),
      movEax(2),
      movEax(3),
      movEax(4),
      call0(message),
      movEax(5),
      movEax(6),
      movEax(7),
      movEax(8),
    ];
    const build = (...messages: [string, string, string]): ObjectBuilder =>
      messages.reduce(
        (builder, message) => builder.undef(message),
        unit(
          { 'rs.1': 4, 'rs.2': 4, 'rs.3': 4 },
          { f: messages.flatMap((message, i) => block(`rs.${i + 1}`, message)) },
        ).undef('limit'),
      );
    const diff = diffObjects(build('alpha', 'beta', 'gamma'), build('alpha', 'gamma', 'delta'));
    expect(diff.twin('rs.2')?.name).not.toBe('rs.2');
    expect(diff.twin('rs.3')?.name).not.toBe('rs.3');
    expect(diff.told).not.toEqual([]);
  });

  test('one that went and one that came elsewhere in the function are two', () => {
    // `t` of the first block is gone, a new block at the end has another: not the old one's value.
    const diff = diffObjects(
      unit({ 't.1': 4, 't.2': 4 }, { f: [inc('t.1'), call0('a'), call0('b'), inc('t.2', 0), call0('c')] })
        .undef('a')
        .undef('b')
        .undef('c'),
      unit(
        { 't.1': 4, 't.2': 4 },
        { f: [call0('a'), call0('b'), inc('t.1'), call0('c'), movEax(5), call0('d'), inc('t.2')] },
      )
        .undef('a')
        .undef('b')
        .undef('c')
        .undef('d'),
    );
    expect(diff.twin('t.2')?.name).toBe('t.1');
    expect(diff.twin('t.1')?.name).not.toBe('t.2');
  });

  test('the size counts', () => {
    // `static int xxx` and `static long xxx` of two blocks.
    const build = (int: string, long: string, value: number): ObjectBuilder =>
      unit({ [int]: 4, [long]: 8 }, { fn: [inc(int), inc(long), movEax(value)] });
    const diff = diffObjects(build('xxx.1', 'xxx.0', 1), build('xxx.2', 'xxx.3', 2));
    expect([diff.twin('xxx.1')?.name, diff.twin('xxx.0')?.name]).toEqual(['xxx.2', 'xxx.3']);
    expect(diff.data.changed).toEqual([]);
  });

  test('a variable that grew is the same one, and refused', () => {
    const diff = diffObjects(
      unit({ 'n.1': 4 }, { f: [inc('n.1'), movEax(1)] }),
      unit({ 'n.2': 8 }, { f: [inc('n.2'), movEax(2)] }),
    );
    expect(diff.told).toEqual(['changed-data n.1']);
  });
});

describe('one function of the source', () => {
  for (const suffix of ['.constprop.0', '.part.0', '.isra.0']) {
    test(`f${suffix} became f: its static is the same`, () => {
      const diff = diffObjects(
        unit({ 'calls.0': 4 }, { [`f${suffix}`]: [inc('calls.0')], user: [call(`f${suffix}`)] }),
        unit({ 'calls.1': 4 }, { f: [inc('calls.1'), movEax(2)], user: [call('f'), movEax(1)] }),
      );
      expect(diff.twin('calls.0')?.name).toBe('calls.1');
      expect(diff.told).toEqual([]);
    });
  }

  test('a function that was inlined, and no longer is', () => {
    const diff = diffObjects(
      unit({ 'n.0': 4 }, { user: [inc('n.0'), movEax(1)] }),
      unit({ 'n.3': 4 }, { user: [call('helper'), movEax(1)], helper: [inc('n.3')] }),
    );
    expect(diff.twin('n.0')?.name).toBe('n.3');
  });

  test("one function's static went, another's came: two variables", () => {
    const diff = diffObjects(
      unit({ 'n.0': 4 }, { f: [inc('n.0')], g: [movEax(1)] }),
      unit({ 'n.0': 4 }, { f: [movEax(3)], g: [inc('n.0'), movEax(1)] }),
    );
    expect(diff.twin('n.0')).toBeUndefined();
    expect(diff).toMatchObject({ told: ['new-static-local n.0'], data: { added: ['n.0'] } });
  });
});

test('read-only statics that are used keep their own address', () => {
  // f and g each hand out the address of their own `tag`, of equal content: g's taken for f's, `tag == f_tag` is false elsewhere.
  const build = (f: string, g: string, value: number): ObjectBuilder =>
    object()
      .file('u.c')
      .rodata('tag.0', [u64(5)], LOCAL)
      .rodata('tag.1', [u64(5)], LOCAL)
      .func('f', body(movEax(value), lea(f), movEax(1)))
      .func('g', body(lea(g), movEax(2)));
  const diff = diffObjects(build('tag.1', 'tag.0', 1), build('tag.0', 'tag.1', 2));
  expect([diff.twin('tag.1')?.name, diff.twin('tag.0')?.name]).toEqual(['tag.0', 'tag.1']);
});

describe('other units', () => {
  test('a static that went and a global of its name elsewhere are two', () => {
    // Unit a loses `debug`, unit b gets one: bound to a's, it starts with whatever a left there.
    const orig = object()
      .file('a.c')
      .bss('debug', 4, LOCAL)
      .func('fa', body(inc('debug')))
      .file('b.c')
      .func('fb', body(movEax(1)))
      .func('lb', body(movEax(7)), LOCAL);
    const patched = object()
      .file('a.c')
      .func('fa', body(movEax(1)))
      .file('b.c')
      .bss('debug', 4)
      .func('fb', body(inc('debug')))
      .func('lb', body(movEax(7)), LOCAL);
    const diff = diffObjects(orig, patched);
    expect(diff.twin('debug')).toBeUndefined();
    expect(diff.data.added).toEqual(['debug']);
  });

  test('a static that became global stays itself', () => {
    const build = (options: object, value: number): ObjectBuilder =>
      object()
        .file('a.c')
        .func('la', body(movEax(3)), LOCAL)
        .file('b.c')
        .bss('level', 4, options)
        .func('set', body(inc('level')))
        .func('act', body(movEax(value), inc('level')));
    expect(diffObjects(build(LOCAL, 1), build({}, 2)).twin('level')?.name).toBe('level');
  });

  test('a static that moved to another unit with its function stays itself', () => {
    const hits = (builder: ObjectBuilder, value: number): ObjectBuilder =>
      builder.bss('hits', 4, LOCAL).func('count', body(inc('hits'), movEax(value)));
    const build = (moved: boolean): ObjectBuilder => {
      const a = object()
        .file('a.c')
        .func('la', body(movEax(3)), LOCAL);
      const b = (moved ? a : hits(a, 1)).file('b.c').func('lb', body(movEax(4)), LOCAL);
      return moved ? hits(b, 2) : b;
    };
    expect(diffObjects(build(false), build(true)).twin('hits')?.name).toBe('hits');
  });

  /** Two or more `core.c`, each with `state` and `probe`, and a global that calls its `probe`. */
  const cores = (...units: Array<{ user: string; value: number }>): ObjectBuilder => {
    const builder = object();
    units.forEach(({ value }, i) => {
      builder
        .file('core.c')
        .bss(`state`, 4, { ...LOCAL, section: `.bss.${i}` })
        .func('probe', body(inc('state'), movEax(value)), { ...LOCAL, section: `.text.${i}.probe` });
    });
    return builder;
  };

  test('units of one name and equal local names that changed places pair by content', () => {
    const diff = diffObjects(
      cores({ user: 'a', value: 1 }, { user: 'b', value: 2 }),
      cores({ user: 'b', value: 9 }, { user: 'a', value: 1 }),
    );
    expect([diff.twin('probe', 0)?.name, diff.twin('probe', 1)?.name]).toEqual(['probe#1', 'probe#0']);
    expect(diff.changed).toEqual({ probe: 'code' });
  });

  test('where all of them changed nothing tells, and nothing is paired by order', () => {
    const diff = diffObjects(
      cores({ user: 'a', value: 1 }, { user: 'b', value: 2 }),
      cores({ user: 'b', value: 9 }, { user: 'a', value: 8 }),
    );
    expect([diff.twin('probe', 0), diff.twin('probe', 1), diff.twin('state', 0)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(diff.told).toContain('ambiguous-twin probe');
  });
});

describe('numbers that are no names', () => {
  test('Rust: the second of two is the first when that is gone', () => {
    // `poll` has two `HITS`; v0 mangling numbers them `HITS`, `s_ HITS` in order.
    const path = '_RNvNvCs1234_3drv4poll';
    const orig = unit(
      { [`${path}4HITS`]: 4, [`${path}s_4HITS`]: 4 },
      { poll: [movEax(1), inc(`${path}4HITS`), call0('a'), movEax(2), inc(`${path}s_4HITS`), call0('b')] },
    )
      .undef('a')
      .undef('b');
    const patched = unit({ [`${path}4HITS`]: 4 }, { poll: [movEax(2), inc(`${path}4HITS`), call0('b')] }).undef('b');
    const diff = diffObjects(orig, patched);
    expect(diff.twin(`${path}4HITS`)).toBeUndefined();
    expect(diff.twin(`${path}s_4HITS`)?.name).toBe(`${path}4HITS`);
  });

  test('Rust: a name that refers back is the same name without what stands before', () => {
    const pair = (a: string, b: string): unknown =>
      diffObjects(
        object()
          .file('x')
          .func(a, body(movEax(1))),
        object()
          .file('x')
          .func(b, body(movEax(2))),
      ).changed;
    // drv::poll::{closure#1}::<drv::T>: without `s_` the crate is still at place 4.
    expect(pair('_RINCNvCs1_3drv4polls_0NtB4_1TE', '_RINCNvCs1_3drv4poll0NtB4_1TE')).toEqual({
      _RINCNvCs1_3drv4polls_0NtB4_1TE: 'code',
    });
    // A crate's own number is a hash: two crates of one name.
    expect(pair('_RNvCs1_3drv4poll', '_RNvCs2_3drv4poll')).toEqual({});
    // `s` is also i16: drv::poll::<i16>, of which nothing goes.
    expect(pair('_RINvCs1_3drv4pollsE', '_RINvCs1_3drv4polltE')).toEqual({});
  });

  test('ids of BTF types count in names: other numbers are no change', () => {
    // Two blank lines in net/core/filter.c renumber all lists behind them.
    const build = (number: string): ObjectBuilder =>
      object()
        .file('filter.c')
        .rodata(`__BTF_ID__struct__file__${number}`, hex('00000000'), { ...LOCAL, section: '.BTF_ids' })
        .rodata('proto', [ptr64(`__BTF_ID__struct__file__${number}`)], { section: '.rodata.proto' });
    expect(diffObjects(build('112'), build('314'))).toMatchObject({
      changed: {},
      told: [],
      data: { changed: [], added: [] },
    });
  });
});
