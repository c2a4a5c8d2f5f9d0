import { describe, expect, test } from 'vitest';
import { UseIndex, correlate } from '../../../src/stages/correlate';
import {
  NOTHING,
  body,
  call,
  diffObjects,
  inc,
  lea,
  movEax,
  scan,
  symbolsOf,
  traced,
} from '../../support/diff-objects';
import { code, hex, object, u32, type ObjectBuilder } from '../../support/elf-builder';

const LOCAL = { bind: 'local' } as const;

describe('numbering', () => {
  for (const [orig, patched] of [
    ['foo.isra.0', 'foo.isra.1'],
    ['foo.constprop.0', 'foo.constprop.12'],
    ['foo.part.0', 'foo.part.3'],
    ['__UNIQUE_ID_x_694_695', '__UNIQUE_ID_x_710_711'],
    ['helper.llvm.1234', 'helper.llvm.5678'],
    ['foo.isra.0.cold', 'foo.isra.1.cold'],
  ] as const) {
    test(`${orig} is ${patched} of the next build`, () => {
      // The number counts something in one unit and moves with unrelated edits (GCC 12: 595 such functions in 6.12).
      const build = (name: string, value: number): ObjectBuilder =>
        object()
          .file('x.c')
          .func(name, body(movEax(value)), { bind: name.includes('.llvm.') ? 'global' : 'local' })
          .func('user', body(call(name)));
      expect(diffObjects(build(orig, 1), build(patched, 1))).toMatchObject(NOTHING);
      expect(diffObjects(build(orig, 1), build(patched, 1)).twin(orig)?.name).toBe(patched);
      if (!orig.includes('.cold'))
        expect(diffObjects(build(orig, 1), build(patched, 2)).changed).toEqual({ [orig]: 'code' });
    });
  }

  test('another word in the suffix is another function', () => {
    // foo.isra and foo.constprop take other arguments: paired, callers of one would get the other.
    const build = (name: string): ObjectBuilder =>
      object()
        .file('x.c')
        .func(name, body(movEax(1)), LOCAL)
        .func('user', body(call(name)));
    const diff = diffObjects(build('foo.isra.0'), build('foo.constprop.0'));
    expect(diff).toMatchObject({ added: ['foo.constprop.0'], removed: ['foo.isra.0'], changed: { user: 'reference' } });
  });

  for (const [orig, patched] of [
    ['__key.12', '__key.14'],
    ['__already_done.2', '__already_done.3'],
    ['__func__.5', '__func__.6'],
    ['f.__key', 'f.__key.1'],
    ['f._rs.1', 'f._rs.2'],
  ] as const) {
    test(`${orig}: a macro's static local never pairs`, () => {
      // Such an object belongs to one build: bound to the running kernel's of that number, lock classes of two functions merge.
      const build = (name: string, size = 8): ObjectBuilder =>
        object()
          .file('x.c')
          .rodata(name, new Uint8Array(size), { ...LOCAL, section: name.includes('func') ? '.rodata.x' : '.data.x' })
          .func('f', body(lea(name)));
      const diff = diffObjects(build(orig), build(patched));
      expect(diff.twin(orig)).toBeUndefined();
      expect(diff).toMatchObject({ changed: {}, told: [], data: { changed: [], added: [] } });
    });
  }

  test('an ordinary static with a number does pair by use', () => {
    // The counterpart: `counter.3` is a variable of the running kernel and must not be made anew.
    const build = (name: string): ObjectBuilder =>
      object()
        .file('x.c')
        .bss(name, 8, LOCAL)
        .func('f', body(inc(name)));
    expect(diffObjects(build('counter.3'), build('counter.5')).twin('counter.3')).toEqual({
      name: 'counter.5',
      rule: 'use',
    });
    expect(diffObjects(build('counter.3'), build('counter.5'))).toMatchObject(NOTHING);
  });
});

describe('promotion', () => {
  test('static in one build, promoted or global in the other', () => {
    // ThinLTO promotes what another partition imports: every edit changes who that is.
    const build = (name: string, bind: 'local' | 'global', value = 1): ObjectBuilder =>
      object()
        .file('x.c')
        .func(name, body(movEax(value)), { bind })
        .bss(name.replace('helper', 'state'), 8, { bind })
        .func('user', body(call(name), inc(name.replace('helper', 'state'))));
    for (const [a, b] of [
      [build('helper', 'local'), build('helper.llvm.77', 'global')],
      [build('helper.llvm.77', 'global'), build('helper', 'local')],
      [build('helper', 'local'), build('helper', 'global')],
    ] as const) {
      expect(diffObjects(a, b)).toMatchObject(NOTHING);
    }
    expect(diffObjects(build('helper', 'local'), build('helper.llvm.77', 'global', 2)).changed).toEqual({
      helper: 'code',
    });
  });

  test("two promoted functions of one name pair by their unit's hash", () => {
    // 30 bases occur with two hashes: by order the variable of another unit would be written.
    const build = (a: string, b: string, swapped: boolean): ObjectBuilder => {
      const builder = object().file('x.c');
      const unit = (hash: string, only: string, value: number): unknown =>
        builder
          .func(`${only}.llvm.${hash}`, body(movEax(1)))
          .bss(`state.llvm.${hash}`, 8)
          .func(`init_once.llvm.${hash}`, body(inc(`state.llvm.${hash}`), movEax(value)));
      const units = [
        (): unknown => unit(a, 'only_a', swapped ? 10 : 1),
        (): unknown => unit(b, 'only_b', swapped ? 20 : 2),
      ];
      for (const make of swapped ? units.reverse() : units) make();
      return builder;
    };
    const diff = diffObjects(build('111', '222', false), build('333', '444', true));
    expect(diff.twin('init_once.llvm.111')?.name).toBe('init_once.llvm.333');
    expect(diff.twin('init_once.llvm.222')?.name).toBe('init_once.llvm.444');
    expect(diff.twin('state.llvm.111')?.name).toBe('state.llvm.333');
    expect(Object.keys(diff.changed)).toEqual(['init_once.llvm.111', 'init_once.llvm.222']);
  });

  test('two units of ORIG that lead to one hash lead nowhere', () => {
    // By order the first unit's state would be taken for the other's.
    const unit = (builder: ObjectBuilder, only: string, hash: string, value: number): ObjectBuilder =>
      builder.func(`${only}.llvm.${hash}`, body(movEax(value)));
    const orig = unit(unit(object().file('x.c'), 'only_a', '111', 1), 'only_b', '222', 2)
      .bss('state.llvm.111', 8)
      .bss('state.llvm.222', 8);
    const patched = unit(unit(object().file('x.c'), 'only_a', '333', 1), 'only_b', '333', 2).bss('state.llvm.333', 8);
    const diff = diffObjects(orig, patched);
    // Premise: the hashes are known.
    expect(diff.twin('only_a.llvm.111')?.name).toBe('only_a.llvm.333');
    expect([diff.twin('state.llvm.111'), diff.twin('state.llvm.222')]).toEqual([undefined, undefined]);
  });

  test('two promoted variables of different units do not pair by name', () => {
    // Unit a's `state` was promoted in ORIG, unit b's is in PATCHED (other imports): a function of the livepatch that uses b's
    // would write a's variable.
    const orig = object()
      .file('a.c')
      .func('in_a', body(inc('state.llvm.111')))
      .file('b.c')
      .bss('state', 8, LOCAL)
      .func('in_b', body(inc('state')))
      .bss('state.llvm.111', 8);
    const patched = object()
      .file('a.c')
      .bss('state', 8, LOCAL)
      .func('in_a', body(inc('state')))
      .file('b.c')
      .func('in_b', body(inc('state.llvm.222')))
      .bss('state.llvm.222', 8);
    expect(diffObjects(orig, patched).twin('state.llvm.111')?.name).not.toBe('state.llvm.222');
  });

  test('the last promoted variable of a name needs evidence too', () => {
    // Two units have a promoted `state`; the second unit is replaced by a third. What is left over on both sides is paired.
    const unit = (builder: ObjectBuilder, hash: string, user: string): ObjectBuilder =>
      builder.bss(`state.llvm.${hash}`, 8).func(user, body(inc(`state.llvm.${hash}`)));
    const diff = diffObjects(
      unit(unit(object().file('x.c'), '111', 'in_a'), '222', 'in_b'),
      unit(unit(object().file('x.c'), '111', 'in_a'), '333', 'in_c'),
    );
    expect(diff.twin('state.llvm.111')?.name).toBe('state.llvm.111');
    expect(diff.twin('state.llvm.222')).toBeUndefined();
  });

  test("a function's static local is not a new global of the same base name", () => {
    // `count.3` went with its function; the patch brings in a global `count` elsewhere.
    const orig = object()
      .file('a.c')
      .bss('count.3', 8, LOCAL)
      .func('gone', body(inc('count.3'), movEax(1)));
    const patched = object()
      .file('a.c')
      .bss('count', 8)
      .func('fresh', body(inc('count'), movEax(2)));
    expect(diffObjects(orig, patched).twin('count.3')).toBeUndefined();
  });

  test('functions that differ in which variable they use are not interchangeable', () => {
    // Two promoted `get` of two units are equal but for their own `state`; the patch calls the other one.
    const build = (callee: string): ObjectBuilder =>
      object()
        .file('a.c')
        .bss('state', 8, LOCAL)
        .func('get.llvm.111', body(inc('state')))
        .func('tag_a.llvm.111', body(movEax(1)))
        .file('b.c')
        .bss('state', 8, LOCAL)
        .func('get.llvm.222', body(inc('state')))
        .func('tag_b.llvm.222', body(movEax(2)))
        .file('c.c')
        .func('f', body(call(callee)));
    const diff = diffObjects(build('get.llvm.111'), build('get.llvm.222'));
    // Premise: nothing else changed.
    expect(diff.added).toEqual([]);
    expect(Object.keys(diff.changed)).toEqual(['f']);
  });
});

describe('aliases', () => {
  const aliased = (first: string, second: string, value = 1): ObjectBuilder =>
    object()
      .file('x.c')
      .func(first, body(movEax(value)))
      .alias(second, first)
      .func('user', body(call(second)));

  test('the order of aliases does not count', () => {
    // Upstream reports both names as changed when the table's order flips; there are 34 groups of functions.
    expect(diffObjects(aliased('memcpy', '__memcpy'), aliased('__memcpy', 'memcpy')).changed).toEqual({});
    expect(
      diffObjects(
        aliased('memcpy', '__memcpy'),
        object()
          .file('x.c')
          .func('__memcpy', body(movEax(1)))
          .alias('memcpy', '__memcpy')
          .func('user', body(call('__memcpy'))),
      ),
    ).toMatchObject(NOTHING);
  });

  test('one body is one change, with its other names', () => {
    // Reported twice, it would be cloned twice.
    const diff = diffObjects(aliased('memcpy', '__memcpy', 1), aliased('memcpy', '__memcpy', 2));
    const [only, ...others] = diff.object.functions.changed;
    expect(others).toEqual([]);
    expect([only!.name, ...only!.aliases!].sort()).toEqual(['__memcpy', 'memcpy']);
  });

  test('a new alias is no new function', () => {
    // One body more in the livepatch would be called by the new name only.
    const diff = diffObjects(
      aliased('memcpy', '__memcpy'),
      aliased('memcpy', '__memcpy').alias('aaa', 'memcpy').alias('zzz', 'memcpy').alias('memmove_like', 'memcpy'),
    );
    expect(diff).toMatchObject({ changed: {}, added: [] });
  });

  test("an alias that is gone does not change the body's callers", () => {
    // Which alias is canonical follows from a hash of the names: whichever goes, callers by another name are unchanged.
    for (const gone of ['aaa', 'bbb', 'ccc', 'ddd', 'zzz', 'memmove_like']) {
      const diff = diffObjects(aliased('memcpy', '__memcpy').alias(gone, 'memcpy'), aliased('memcpy', '__memcpy'));
      expect(diff.changed, gone).toEqual({});
    }
  });

  test('aliases that become two functions, both changed', () => {
    // write_a and write_b shared a body and get one each: one of the two changes is not in the livepatch.
    const orig = object()
      .file('x.c')
      .func('write_a', body(movEax(1)))
      .alias('write_b', 'write_a');
    const patched = object()
      .file('x.c')
      .func('write_a', body(movEax(2)))
      .func('write_b', body(movEax(3)));
    const diff = diffObjects(orig, patched);
    expect(
      [...diff.object.functions.changed.map(({ name, patchedName }) => patchedName ?? name), ...diff.added].sort(),
    ).toEqual(['write_a', 'write_b']);
  });

  test('prefixes go with their functions and are no functions', () => {
    // 48,669 __pfx_ symbols all stand under the last FILE: paired or reported they would double every change.
    const build = (value: number, pad = 16): ObjectBuilder =>
      object()
        .file('x.c')
        .padded('f', body(movEax(value)), { pad })
        .func('user', body(call('f')));
    expect(diffObjects(build(1), build(1, 32)).changed).toEqual({});
    const diff = diffObjects(build(1), build(2));
    expect(diff).toMatchObject({ changed: { f: 'code' }, added: [], removed: [] });
    expect(diff.twin('__pfx_f')).toBeUndefined();
  });
});

describe('functions of one name', () => {
  /** `fixup` functions by their bodies, each called by one of the callers. */
  const copies = (values: number[], callers: Record<string, number>): ObjectBuilder => {
    const builder = object().file('x.c');
    values.forEach((value, i) => builder.func(`__UNIQUE_ID_fixup_${i + 10}`, body(movEax(value)), LOCAL));
    for (const [name, i] of Object.entries(callers)) builder.func(name, body(call(`__UNIQUE_ID_fixup_${i + 10}`)));
    return builder;
  };

  test('equal ones pair in any order', () => {
    // 977 fix-up functions, up to 99 copies: ambiguous they would refuse every patch.
    const diff = diffObjects(copies([1, 1, 1], { a: 0, b: 1 }), copies([1, 1, 1], { a: 2, b: 0 }));
    expect(diff).toMatchObject(NOTHING);
    expect(diff.ambiguous).toEqual([]);
    expect(new Set([0, 1, 2].map((i) => diff.twin(`__UNIQUE_ID_fixup_${i + 10}`)?.name)).size).toBe(3);
  });

  test('different ones pair by content, whatever their number', () => {
    // Paired by number each would be patched with the other's code.
    const diff = diffObjects(copies([1, 2], {}), copies([2, 1], {}));
    expect(diff.twin('__UNIQUE_ID_fixup_10')).toEqual({ name: '__UNIQUE_ID_fixup_11', rule: 'content' });
    expect(diff).toMatchObject(NOTHING);
  });

  test('the one that changed among different ones is the one left over', () => {
    // The rest pair by content.
    const diff = diffObjects(copies([1, 2], {}), copies([3, 1], {}));
    expect(diff.twin('__UNIQUE_ID_fixup_11')?.name).toBe('__UNIQUE_ID_fixup_10');
    expect(diff.changed).toEqual({ __UNIQUE_ID_fixup_11: 'code' });
  });

  test('the one that changed among equal ones is the one that its caller calls', () => {
    // Three equal copies, the first changed: the third is called changed, and the livepatch redirects a function that
    // another caller uses.
    const diff = diffObjects(copies([1, 1, 1], { a: 0, b: 1, c: 2 }), copies([5, 1, 1], { a: 0, b: 1, c: 2 }));
    const twin = diff.twin('__UNIQUE_ID_fixup_10')?.name;
    expect([undefined, '__UNIQUE_ID_fixup_10']).toContain(twin);
    if (twin === undefined) expect(diff.told.length).toBeGreaterThan(0);
    else expect(diff.object.functions.changed.map(({ name }) => name)).toEqual(['__UNIQUE_ID_fixup_10']);
  });

  test('functions that use different variables are not equal, and their variables do not pair by rank', () => {
    // bump.isra.0 and bump.isra.1 differ only in which counter they use; the next build numbers them the other way round.
    const build = (one: number, two: number): ObjectBuilder =>
      object()
        .file('x.c')
        .bss('counter.1', 8, LOCAL)
        .bss('counter.2', 8, LOCAL)
        .func('bump.isra.0', body(inc('counter.1')), LOCAL)
        .func('bump.isra.1', body(inc('counter.2')), LOCAL)
        .func('one', body(call(`bump.isra.${one}`), movEax(1)))
        .func('two', body(call(`bump.isra.${two}`), movEax(2)));
    const diff = diffObjects(build(0, 1), build(1, 0));
    // What `one` counts in ORIG is counter.1, in PATCHED counter.2.
    expect([undefined, 'counter.2']).toContain(diff.twin('counter.1')?.name);
  });

  test('nothing to tell two changed ones apart is refused', () => {
    // By rank each could be patched with the other's code.
    const diff = diffObjects(copies([1, 2], {}), copies([3, 4], {}));
    expect(diff.told.map((text) => text.split(' ')[0])).toEqual(['ambiguous-twin']);
    expect(diff.changed).toEqual({});
  });

  test('so is assembler code, whose symbols have no type', () => {
    // SYM_CODE_START leaves sized NOTYPE symbols: left out, both changed bodies would be dropped without a word.
    const build = (x: number, y: number): ObjectBuilder =>
      object()
        .file('x.c')
        .section('.entry.text', { body: code(movEax(x), hex('c3'), movEax(y), hex('c3')) })
        .label('entry', { section: '.entry.text', at: 0, size: 6 })
        .label('entry', { section: '.entry.text', at: 6, size: 6 });
    expect(diffObjects(build(1, 2), build(3, 4)).told).toEqual(['ambiguous-twin entry']);
  });

  test('a type change is removal and addition', () => {
    // An object that becomes a function of the same name is another thing.
    const orig = object()
      .file('x.c')
      .data('thing', [u32(1)]);
    const patched = object().file('x.c').func('thing', hex('c3'));
    const diff = diffObjects(orig, patched);
    expect(diff.twin('thing')).toBeUndefined();
    expect(diff.added).toEqual(['thing']);
    expect(symbolsOf(diff.orig, 'thing').length).toBe(1);
    expect(diffObjects(traced(patched, 'thing'), traced(patched, 'thing')).changed).toEqual({});
  });
});

describe('what a file or a record may claim', () => {
  test('tens of thousands of one name that differ in their uses alone are no work of hours', () => {
    // Compared with each other they took 20 seconds from 16,000 on, four times that for twice as many, where no Ctrl-C is heard.
    const COUNT = 60_000;
    const build = (value: number): ObjectBuilder => {
      const builder = object().file('x.c');
      for (let i = 0; i < COUNT; i++) builder.bss(`counter.${i}`, 8, { ...LOCAL, section: '.bss.counters' });
      for (let i = 0; i < COUNT; i++)
        builder.func(`bump.part.${i}`, body(inc(`counter.${i}`)), { ...LOCAL, section: '.text.bump' });
      return builder.func('last', body(movEax(value)));
    };
    const [orig, patched] = [scan(build(1)), scan(build(2))];
    expect(orig.uses.length / 3).toBe(COUNT);
    const { ambiguous, pairing } = correlate(orig, patched);
    expect(ambiguous.map((group) => [group.orig.length, group.patched.length])).toEqual([
      [COUNT, COUNT],
      [COUNT, COUNT],
    ]);
    expect(pairing.counts()).toEqual({ name: 1 });
  });

  test('uses stand in the order of the scan, by slot', () => {
    // Two builds are compared use by use: another order of equal slots would pair other symbols.
    const words = Uint32Array.of(1, 24, 4, 2, 8, 3, 1, 8, 4, 1, 24, 3, 1, 8, 2);
    const uses = new UseIndex(words, 5);
    expect(uses.of(1)).toEqual([
      [8, 4],
      [8, 2],
      [24, 4],
      [24, 3],
    ]);
    const chain: number[] = [];
    for (let use = uses.firstOf(1); use !== 0; use = uses.after(use)) chain.push(uses.slot(use), uses.target(use));
    expect(chain).toEqual([24, 4, 8, 4, 24, 3, 8, 2]);
    expect([uses.firstOf(3), uses.firstOf(4)]).toEqual([0, 0]);
    expect([...uses.usersOf(4)]).toEqual([1]);
  });

  test("uses by or of symbols that the object has not are nobody's", () => {
    // Where a column ends it says `undefined`, which is equal to itself: such a user looked unchanged, and its targets paired.
    const uses = new UseIndex(Uint32Array.of(1, 8, 2, 77, 8, 2, 3, 8, 99, 3, 16, 2), 5);
    expect([...uses.usersOf(2)]).toEqual([1, 3]);
    expect(uses.of(3)).toEqual([[16, 2]]);
    expect([1, 2, 3, 4].filter((symbol) => uses.isUsed(symbol))).toEqual([2]);
    // Nor is a use that a record cut off, and who asks for a symbol that there is not gets an answer.
    const cut = new UseIndex(Uint32Array.of(1, 8, 2, 3, 16, 2, 4), 5);
    expect([cut.of(1), cut.of(3), cut.of(4), cut.of(9), [...cut.usersOf(2)], [...cut.usersOf(77)]]).toEqual([
      [[8, 2]],
      [[16, 2]],
      [],
      [],
      [1, 3],
      [],
    ]);
  });
});
