import { describe, expect, test } from 'vitest';
import { isAllowable } from '../../../src/diagnostics';
import { BODY, NOTHING, body, call, diffObjects, lea, movEax, near, traced } from '../../support/diff-objects';
import {
  ENDBR,
  RETURN,
  abs32s,
  code,
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

describe('functions without an ftrace site', () => {
  /** inline_copy (no site) <- middle (no site) <- top (site). */
  const chain = (value: number, extra: (builder: ObjectBuilder) => ObjectBuilder = (b) => b): ObjectBuilder =>
    traced(
      extra(
        object()
          .file('x.c')
          .func('inline_copy', code(ENDBR, movEax(value), RETURN), LOCAL)
          .func('middle', code(ENDBR, call('inline_copy'), RETURN), LOCAL)
          .func('top', body(call('middle')))
          .func('bystander', body()),
      ),
      'top',
      'bystander',
    );

  test('callers are taken along until each has a site', () => {
    // klp_enable_patch fails with "failed to find location" and nothing is patched; 5,041 out-of-line copies have no site.
    const diff = diffObjects(chain(1), chain(2));
    expect(diff.changed).toEqual({ inline_copy: 'code' });
    expect(diff.carried).toEqual({ middle: ['inline_copy'], top: ['middle', 'inline_copy'] });
    expect(diff.told).toEqual([]);
  });

  test('a function with a site carries nobody', () => {
    // ftrace redirects it itself.
    const build = (value: number): ObjectBuilder =>
      traced(
        object()
          .file('x.c')
          .func('f', body(movEax(value)))
          .func('g', body(call('f'))),
        'f',
        'g',
      );
    expect(diffObjects(build(1), build(2))).toMatchObject({ changed: { f: 'code' }, carried: {}, told: [] });
  });

  test('in an object without __mcount_loc the call of __fentry__ is a site', () => {
    // A unit before objtool: every function would be refused.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body(movEax(value)));
    expect(diffObjects(build(1), build(2)).told).toEqual([]);
  });

  test('a unit compiled without ftrace has none, whatever padding it has', () => {
    // lib/xarray.c, lib/maple_tree.c: the module loads with "failed to find location for function".
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .padded('f', code(ENDBR, movEax(value), RETURN))
        .func('g', code(ENDBR, call('f'), RETURN));
    expect(new Set(diffObjects(build(1), build(2)).told)).toEqual(new Set(['not-traceable f', 'not-traceable g']));
    // A static function's callers are all there; one with a site is taken along.
    const local = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', code(ENDBR, movEax(value), RETURN), LOCAL)
        .func('g', body(call('f')));
    expect(diffObjects(local(1), local(2))).toMatchObject({ told: [], carried: { g: ['f'] } });
  });

  test('an address kept in data is refused', () => {
    // Whoever calls through the table goes on calling the old function.
    const keep = (b: ObjectBuilder): ObjectBuilder => b.data('table', [ptr64('inline_copy')]);
    expect(codes(diffObjects(chain(1, keep), chain(2, keep)).told)).toEqual(['not-traceable']);
    const outer = (b: ObjectBuilder): ObjectBuilder => b.data('table', [ptr64('middle')]);
    expect(codes(diffObjects(chain(1, outer), chain(2, outer)).told)).toEqual(['not-traceable']);
    const other = (b: ObjectBuilder): ObjectBuilder => b.data('table', [ptr64('bystander')]);
    expect(diffObjects(chain(1, other), chain(2, other)).told).toEqual([]);
  });

  test('a function that nothing known calls is refused', () => {
    // An assembler entry: included, it would be code that never runs.
    const build = (value: number): ObjectBuilder =>
      traced(
        object()
          .file('x.c')
          .func('entry', code(movEax(value), hex('c3')))
          .func('f', body()),
        'f',
      );
    expect(diffObjects(build(1), build(2)).told).toEqual(['not-traceable entry']);
  });

  test('tables about the function are no callers', () => {
    // .return_sites, ORC and the bug table refer to every function.
    const tables = (b: ObjectBuilder): ObjectBuilder =>
      b
        .special('.return_sites', ref32('inline_copy', 9))
        .special('.orc_unwind_ip', ref32('inline_copy'))
        .special('__bug_table', ref32('inline_copy'), ref32({ string: 'x.c' }), u16(1), u16(1));
    expect(diffObjects(chain(1, tables), chain(2, tables)).told).toEqual([]);
  });

  test('a caller in the same section is a caller', () => {
    // .noinstr.text holds all noinstr functions of a unit, none of them traceable, and their calls have no relocation. The caller
    // is not taken along and goes on calling the old body.
    const build = (value: number): ObjectBuilder =>
      traced(
        object()
          .file('entry.c')
          .func('helper', code(ENDBR, movEax(value), hex('c3')), { section: '.noinstr.text', at: 0, ...LOCAL })
          .func('near_caller', code(ENDBR, near(0xe8, -0x20 - 9), hex('c3')), { section: '.noinstr.text', at: 0x20 })
          .func('top', body(call('near_caller')))
          .func('far', body(call('helper'))),
        'top',
        'far',
      );
    const diff = diffObjects(build(1), build(2));
    // Premise: the caller with a relocation is seen.
    expect(diff.carried).toHaveProperty('far');
    expect(diff.carried).toHaveProperty('near_caller');
  });

  test('a caller through an alternative is a caller', () => {
    // alternative_call(old, new, feature): the call stands in .altinstr_replacement and runs in place of the site.
    const build = (value: number): ObjectBuilder =>
      traced(
        object()
          .file('x.c')
          .func('clear_page_erms', code(ENDBR, movEax(value), hex('c3')))
          .func('plain', code(ENDBR, hex('c3')))
          .func('clear', body(call('plain')))
          .func('other', body(call('clear_page_erms')))
          .section('.altinstr_replacement', { body: code(call('clear_page_erms')) })
          .special(
            '.altinstructions',
            ref32('clear', BODY),
            ref32({ section: '.altinstr_replacement' }),
            u16(9),
            u16(0),
            5,
            5,
          ),
        'clear',
        'other',
      );
    const diff = diffObjects(build(1), build(2));
    expect(diff.carried).toHaveProperty('other');
    expect(diff.carried).toHaveProperty('clear');
  });

  test('a caller in a cold part is its function', () => {
    // GCC moves unlikely calls out of a function; the part has no site and no name of its own for a klp_func.
    const build = (value: number): ObjectBuilder =>
      traced(
        object()
          .file('x.c')
          .func('inline_copy', code(ENDBR, movEax(value), RETURN), LOCAL)
          .func('f', body(call('f.cold')))
          .func('f.cold', code(call('inline_copy'), hex('c3')), { ...LOCAL, section: '.text.unlikely.f' }),
        'f',
      );
    expect(diffObjects(build(1), build(2))).toMatchObject({ carried: { f: ['inline_copy'] }, told: [] });
  });

  test('exit code of a module is a caller', () => {
    // It runs when the module is unloaded, with the old body.
    const build = (value: number): ObjectBuilder =>
      traced(
        object()
          .file('x.c')
          .func('inline_copy', code(ENDBR, movEax(value), RETURN), LOCAL)
          .func('ext4_exit_fs', body(call('inline_copy')), { section: '.exit.text' })
          .func('top', body(call('inline_copy'))),
        'top',
      );
    expect(diffObjects(build(1), build(2), { objectName: 'ext4' }).carried).toHaveProperty('ext4_exit_fs');
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

describe('functions without an ftrace site that cannot be left behind', () => {
  const build = (value: number, extra: (builder: ObjectBuilder) => ObjectBuilder): ObjectBuilder =>
    traced(
      extra(
        object()
          .file('x.c')
          .func('inline_copy', code(ENDBR, movEax(value), RETURN))
          .func('top', body(call('inline_copy')))
          .func('other', body()),
      ),
      'top',
      'other',
    );
  const KERNEL = (b: ObjectBuilder): ObjectBuilder => b.data('init_task', [u64(1)]).rodata('linux_banner', [u64(1)]);

  test('an exported one is refused', () => {
    // Modules call it by its export and go on with the old body, whoever is carried along in vmlinux.
    const exported = (b: ObjectBuilder): ObjectBuilder =>
      b.section('.export_symbol', { body: [ptr64('inline_copy')], flags: 0 });
    expect(diffObjects(build(1, exported), build(2, exported)).told).toEqual(['not-traceable inline_copy']);
    // Premise: the same without the export is carried, where all callers are known.
    expect(diffObjects(build(1, KERNEL), build(2, KERNEL))).toMatchObject({
      told: [],
      carried: { top: ['inline_copy'] },
    });
    expect(
      diffObjects(
        build(1, (b) => b),
        build(2, (b) => b),
        { objectName: 'ext4' },
      ),
    ).toMatchObject({ told: [], carried: { top: ['inline_copy'] } });
  });

  test('a global one of a single unit is refused', () => {
    // Other units of the kernel call it, too, and nobody sees them.
    expect(
      diffObjects(
        build(1, (b) => b),
        build(2, (b) => b),
      ).told,
    ).toEqual(['not-traceable inline_copy']);
  });

  test('one that only init code calls is refused', () => {
    // Neither carried nor refused it would be a livepatch that changes nothing.
    const init = (value: number): ObjectBuilder =>
      traced(
        object()
          .file('x.c')
          .func('inline_copy', code(ENDBR, movEax(value), RETURN))
          .func('setup', body(call('inline_copy')), { section: '.init.text' })
          .func('other', body()),
        'other',
      );
    expect(diffObjects(init(1), init(2)).told).toEqual(['not-traceable inline_copy']);
  });
});
