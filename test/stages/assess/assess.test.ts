import { describe, expect, test } from 'vitest';
import { isAllowable } from '../../../src/diagnostics';
import { BODY, NOTHING, body, call, diffObjects, lea, movEax } from '../../support/diff-objects';
import {
  abs32s,
  code,
  hex,
  object,
  plt32,
  ptr64,
  ref32,
  ref64,
  relocated,
  u32,
  u64,
  type ObjectBuilder,
} from '../../support/elf-builder';

const LOCAL = { bind: 'local' } as const;
const codes = (told: string[]): string[] => [...new Set(told.map((text) => text.split(' ')[0]!))].sort();

describe('init and exit', () => {
  const build = (section: string, value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .func('setup', body(movEax(value)), { section });

  for (const section of ['.init.text', '.exit.text']) {
    test(`a change in ${section} is refused`, () => {
      // The code is gone from the running kernel: the klp_func does not resolve, or patches freed memory (230 exit functions).
      const diff = diffObjects(build(section, 1), build(section, 2));
      expect(diff.changed).toEqual({ setup: 'code' });
      expect(diff.told).toEqual(['init-change setup']);
      expect(diffObjects(build(section, 1), build(section, 1).bss('more', 4))).toMatchObject(NOTHING);
    });
  }

  test('exit code of a module is there until it is unloaded', () => {
    // Refused like vmlinux's, no module's exit function could be fixed.
    expect(diffObjects(build('.exit.text', 1), build('.exit.text', 2), { objectName: 'ext4' }).told).toEqual([]);
    expect(diffObjects(build('.init.text', 1), build('.init.text', 2), { objectName: 'ext4' }).told).toEqual([
      'init-change setup',
    ]);
  });

  test('changed init data is no variable of the running kernel', () => {
    // As changed-data the remedy would be to set it in a callback: it is gone.
    const data = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('defaults', [u32(value)], { section: '.init.data' });
    expect(diffObjects(data(1), data(2)).told).toEqual(['init-change defaults']);
  });

  test('a reference from included code is refused, from unchanged init code not', () => {
    // .ref.text may refer to init data while the kernel boots; a livepatch reads freed memory there.
    const data = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('defaults', [u32(1)], { section: '.init.data' })
        .func('setup', body(lea('defaults')), { section: '.init.text' })
        .func('f', body(lea('defaults'), movEax(value)), { section: '.ref.text' });
    expect(diffObjects(data(1), data(2)).told).toEqual(['init-change defaults']);
    expect(diffObjects(data(1), data(1).bss('more', 4)).told).toEqual([]);
  });

  test('a reference to init data without a symbol is refused too', () => {
    // Through the section symbol, as GCC refers to local data.
    const data = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .section('.init.data', { body: [u32(1)] })
        .func('f', body(lea({ section: '.init.data' }), movEax(value)));
    expect(diffObjects(data(1), data(2)).told).toEqual(['init-change .init.data']);
  });

  test('new init data that code outside of it refers to is told', () => {
    // The livepatch's own .init.data is freed as soon as it is loaded.
    const patched = object()
      .file('x.c')
      .func('f', body(lea('fresh')))
      .data('fresh', [u32(1)], { section: '.init.data' });
    expect(
      diffObjects(
        object()
          .file('x.c')
          .func('f', body(movEax(1))),
        patched,
      ).told,
    ).toEqual(['init-change fresh']);
  });

  test('a new function in init code is told', () => {
    // It would never run.
    expect(
      diffObjects(
        object().file('x.c').bss('x', 4),
        object().file('x.c').bss('x', 4).func('setup', body(), { section: '.init.text' }),
      ).told,
    ).toEqual(['init-change setup']);
  });

  for (const section of ['.data.init', '.rodata.init', '.data.probe.init', '.rodata.probe.init']) {
    test(`an object called init in ${section} is no init data`, () => {
      // -fdata-sections names sections after variables: `static const struct x init = ...` in probe().
      const make = (value: number): ObjectBuilder =>
        object()
          .file('x.c')
          .data('probe.init', [u32(1)], { section, ...LOCAL })
          .func('f', body(lea('probe.init'), movEax(value)));
      expect(diffObjects(make(1), make(2)).told).toEqual([]);
    });
  }
});

describe('sealed ENDBR', () => {
  const build = (use: ReturnType<typeof code>, value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .func('helper', body(movEax(9)))
      .func('user', body(call('helper')))
      .func('f', body(movEax(value), use))
      .special('.ibt_endbr_seal', ref32('helper'));

  test('taking the address of a sealed function is refused', () => {
    // The kernel overwrote helper's ENDBR at boot: an indirect call through the pointer raises #CP, or a FineIBT trap.
    const diff = diffObjects(build([], 1), build(code(lea('helper')), 2));
    expect(diff.told).toEqual(['sealed-endbr helper']);
    const absolute = diffObjects(build([], 1), build(code([0x48, 0xc7, 0xc7, abs32s('helper')]), 2));
    expect(absolute.told).toEqual(['sealed-endbr helper']);
  });

  test('a direct call or jump to it is no matter', () => {
    // Refused, hardly any change could be patched: 11,607 functions are sealed.
    expect(diffObjects(build([], 1), build(code(call('helper')), 2)).told).toEqual([]);
    expect(diffObjects(build([], 1), build(code([0xe9, plt32('helper')]), 2)).told).toEqual([]);
    expect(diffObjects(build([], 1), build(code([0x0f, 0x84, plt32('helper')]), 2)).told).toEqual([]);
    // `call *helper@GOTPCREL(%rip)` and `jmp *` (-fno-plt) become direct ones; `push` of the same field keeps the address.
    const got = (modrm: number): string[] =>
      diffObjects(build([], 1), build(code([0xff, modrm, relocated(4, 41, 'helper', -4)]), 2)).told;
    expect([got(0x15), got(0x25), got(0x35)]).toEqual([[], [], ['sealed-endbr helper']]);
  });

  test('new data that the patch brings is followed', () => {
    // `ops->cb = helper` in a new static const struct: the address is in data that only included code reaches.
    const patched = build(code(lea('ops')), 2).rodata('ops', [ptr64('helper')], LOCAL);
    expect(diffObjects(build([], 1), patched).told).toEqual(['sealed-endbr helper']);
    // Data that nobody included reaches does not matter.
    expect(diffObjects(build([], 1), build([], 2).rodata('ops', [ptr64('helper')], LOCAL)).told).toEqual([]);
  });

  test('anonymous new data is followed too', () => {
    // As above through .rodata..L__const.f, which has no symbol.
    const patched = build(code(lea({ section: '.rodata..L__const.f' })), 2).section('.rodata..L__const.f', {
      body: [ptr64('helper')],
    });
    expect(diffObjects(build([], 1), patched).told).toEqual(['sealed-endbr helper']);
  });

  test('... whichever section of a name holds it, and wherever that is entered', () => {
    // 40,000 sections of one name are the normal case; a constant of several pointers is one object.
    const literal = '.rodata..L__const.f';
    const second = build(code(lea('one'), lea('two')), 2)
      .section(literal, { body: [ptr64('f')] })
      .label('one', { section: literal })
      .section(literal, { fresh: true, body: [ptr64('helper')] })
      .label('two', { section: literal });
    expect(diffObjects(build([], 1), second).told).toEqual(['sealed-endbr helper']);
    const middle = build(code(lea({ section: literal }, 8)), 2).section(literal, {
      body: [ptr64('helper'), ptr64('f')],
    });
    expect(diffObjects(build([], 1), middle).told).toEqual(['sealed-endbr helper']);
  });

  test('it may be allowed by name', () => {
    // The function may never be called through the pointer; nothing else here can be allowed.
    expect(isAllowable('sealed-endbr')).toBe(true);
    for (const code of [
      'changed-data',
      'not-traceable',
      'ambiguous-data',
      'ambiguous-twin',
      'init-change',
      'runtime-constant',
    ])
      expect(isAllowable(code), code).toBe(false);
  });
});

describe('what included code reaches', () => {
  test('an undecided key of a jump label is refused', () => {
    // ___once_key.N of two functions that both changed: the entry would be bound to one of them at random.
    const build = (a: string, b: string, value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('once_key.1', [u64(1), u64(0)], LOCAL)
        .data('once_key.2', [u64(1), u64(0)], LOCAL)
        .func('f', body(movEax(value), hex('90 90 90 90 90')))
        .special('__jump_table', ref32('f', BODY + 5), ref32('f', BODY), ref64(a))
        .special('__jump_table', ref32('f', BODY + 5), ref32('f', BODY), ref64(b));
    const diff = diffObjects(build('once_key.1', 'once_key.2', 1), build('once_key.2', 'once_key.1', 2));
    // Premise: nothing tells the keys apart.
    expect(diff.ambiguous.length).toBe(1);
    expect(codes(diff.told)).toEqual(['ambiguous-data']);
  });

  test('a key that became one of two is refused', () => {
    // ORIG has one f.key, PATCHED two: f took another, and no use of a sole name is noted. g says which one is the old one.
    const build = (key: string): ObjectBuilder =>
      object()
        .file('x.c')
        .data('f.key', [u64(1), u64(0)], LOCAL)
        .func('f', body(movEax(1), hex('90 90 90 90 90')))
        .func('g', body(lea('f.key')))
        .special('__jump_table', ref32('f', BODY + 5), ref32('f', BODY), ref64(key));
    expect(diffObjects(build('f.key'), build('f.key').data('f.key.1', [u64(1), u64(0)], LOCAL)).told).toEqual([]);
    expect(diffObjects(build('f.key'), build('f.key.1').data('f.key.1', [u64(1), u64(0)], LOCAL)).told).toEqual([
      'ambiguous-data f.key',
    ]);
  });

  test('new data and new functions are listed and followed', () => {
    // A new function's callee in init code is as gone as a changed one's.
    const orig = object()
      .file('x.c')
      .func('setup', body(movEax(1)), { section: '.init.text' })
      .func('f', body(movEax(1)));
    const patched = object()
      .file('x.c')
      .func('setup', body(movEax(1)), { section: '.init.text' })
      .func('fresh', body(call('setup')))
      .data('brand_new', [u32(1)])
      .func('f', body(movEax(1), call('fresh'), lea('brand_new')));
    const diff = diffObjects(orig, patched);
    expect(diff).toMatchObject({ changed: { f: 'code' }, added: ['fresh'], told: ['init-change setup'] });
    expect(diff.data.added).toEqual(['brand_new']);
  });

  test('one more name for existing data is no new data', () => {
    // Its bytes are the running kernel's; made anew, two copies of one variable would drift apart.
    const build = (): ObjectBuilder =>
      object()
        .file('x.c')
        .data('old', [u32(1)]);
    expect(diffObjects(build(), build().alias('young', 'old')).data.added).toEqual([]);
  });

  test('a cold part goes with its function', () => {
    // Included without it, the clone jumps into the running kernel's old cold part.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body(call('f.cold')))
        .func('f.cold', code(movEax(value), hex('c3')), { ...LOCAL, section: '.text.unlikely.f' });
    const diff = diffObjects(build(1), build(2));
    expect(diff.object.functions.changed.map(({ name, class: kind }) => [name, kind])).toEqual([['f', 'code']]);
    const told = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('gone', [u32(1)], { section: '.init.data' })
        .func('f', body(movEax(value), call('f.cold')))
        .func('f.cold', code(lea('gone'), hex('c3')), { ...LOCAL, section: '.text.unlikely.f' });
    expect(diffObjects(told(1), told(2)).told).toEqual(['init-change gone']);
  });

  test('a cold part that appears belongs to its function', () => {
    // Upstream reports a new cold part as a new function: a klp_func for it cannot resolve.
    const diff = diffObjects(
      object()
        .file('x.c')
        .func('f', body(movEax(1))),
      object()
        .file('x.c')
        .func('f', body(call('f.cold')))
        .func('f.cold', code(movEax(1), hex('c3')), { ...LOCAL, section: '.text.unlikely.f' }),
    );
    expect(diff).toMatchObject({ changed: { f: 'code' }, added: [] });
  });

  test('every reason is told in one run', () => {
    // Told one at a time, a patch takes as many builds as it has problems.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('limit', [u32(value)])
        .func('setup', body(movEax(value)), { section: '.init.text' })
        .bss('dentry_hashtable', 8)
        .func('f', body(hex('c1 e8 0c'), movEax(value)))
        .special('runtime_shift_d_hash_shift', ref32('f', BODY + 2));
    expect(codes(diffObjects(build(1), build(2)).told)).toEqual(['changed-data', 'init-change', 'runtime-constant']);
  });
});
