import { describe, expect, test } from 'vitest';
import { BODY, body, call, diffObjects, movEax, near, traced } from '../../support/diff-objects';
import {
  ENDBR,
  RETURN,
  code,
  hex,
  object,
  ptr64,
  ref32,
  u16,
  u64,
  type ObjectBuilder,
} from '../../support/elf-builder';

const LOCAL = { bind: 'local' } as const;
const codes = (told: string[]): string[] => [...new Set(told.map((text) => text.split(' ')[0]!))].sort();

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
