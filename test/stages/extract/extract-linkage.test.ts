/** How references leave a livepatch: by the module loader, by the livepatch core, or to a copy that goes along. */
import { describe, expect, test } from 'vitest';
import { BODY, body, call, inc, lea, movEax } from '../../support/diff-objects';
import {
  ENDBR,
  abs32s,
  code,
  disp32,
  hex,
  object,
  plt32,
  ptr64,
  relocated,
  u32,
  u64,
  type Body,
  type ObjectBuilder,
} from '../../support/elf-builder';
import { everything, extractObjects } from '../../support/extract-objects';

const LOCAL = { bind: 'local' } as const;

describe('the decision table', () => {
  /** f changes and refers to `target`; `rest` is in both builds. */
  const pair = (rest: (builder: ObjectBuilder) => ObjectBuilder, target = 'helper'): [ObjectBuilder, ObjectBuilder] => [
    rest(object().file('x.c')).func('f', body(movEax(1), call(target))),
    rest(object().file('x.c')).func('f', body(movEax(2), call(target))),
  ];
  const AT = `+0x${(BODY + 6).toString(16)}`;
  const RETURN_THUNK = ['__x86_return_thunk'];

  test('an export of vmlinux is left to the module loader', () => {
    // As a klp relocation it would do no harm, but thousands of imports of a kernel would need a position that nothing proves.
    const made = extractObjects(...pair((b) => b.func('helper', body())), { exports: ['helper', ...RETURN_THUNK] });
    expect(made.told).toEqual([]);
    expect(made.relas('f')).toEqual([`${AT} PLT32 helper-4`, '+0x14 PLT32 __x86_return_thunk-4']);
    expect(made.imports).toEqual(['__x86_return_thunk', 'helper']);
  });

  test('what the kernel keeps to itself is found by the livepatch core', () => {
    // Left as an ordinary reference, modpost or the loader says "Unknown symbol" when the patch is long built.
    const made = extractObjects(...pair((b) => b.func('helper', body())), { exports: RETURN_THUNK });
    expect(made.told).toEqual([]);
    expect(made.relas('f')).toEqual([`${AT} klp PLT32 vmlinux.helper,0-4`, '+0x14 PLT32 __x86_return_thunk-4']);
    expect(made.imports).toEqual(['__x86_return_thunk']);
    expect(made.funcs).toEqual(['f,0>f']);
    expect(made.klpSymbols.map(({ name }) => name)).toEqual(['f', 'helper']);
  });

  test('a local that has the name of an export is no export', () => {
    // `user_read` is a local of one unit and exported by another: by name the reference reaches the wrong function.
    const made = extractObjects(...pair((b) => b.func('helper', body(), LOCAL)), {
      exports: ['helper', ...RETURN_THUNK],
    });
    expect(made.relas('f')[0]).toBe(`${AT} klp PLT32 vmlinux.helper,0-4`);
  });

  test('an export for named modules alone is found by the livepatch core', () => {
    // A livepatch is not on the list `module:kvm`: the loader refuses it.
    const made = extractObjects(...pair((b) => b.func('helper', body())), {
      exports: ['helper@vmlinux:module:kvm,kvm-intel', ...RETURN_THUNK],
    });
    expect(made.relas('f')[0]).toBe(`${AT} klp PLT32 vmlinux.helper,0-4`);
    expect(made.object.importNs).toEqual([]);
  });

  test('a namespace is imported by name, once', () => {
    // Without `import_ns` in .modinfo the loader refuses the module.
    const made = extractObjects(...pair((b) => b.func('helper', body())), {
      exports: ['helper@vmlinux:CRYPTO_INTERNAL', '__x86_return_thunk@vmlinux:CRYPTO_INTERNAL'],
    });
    expect(made.imports).toContain('helper');
    expect(made.object.importNs).toEqual(['CRYPTO_INTERNAL']);
  });

  test("an export of another module is that module's", () => {
    // Named as a symbol of the patched module, it is not found there.
    const orig = object()
      .file('x.c')
      .undef('fscache')
      .undef('netfs_read')
      .func('f', body(movEax(1), call('fscache')));
    const patched = object()
      .file('x.c')
      .undef('fscache')
      .undef('netfs_read')
      .func('f', body(movEax(2), call('netfs_read')));
    const made = extractObjects(orig, patched, {
      objectName: 'nfs',
      exports: ['fscache@netfs', 'netfs_read@netfs', ...RETURN_THUNK],
    });
    expect(made.told).toEqual([]);
    expect(made.relas('f')[0]).toBe(`${AT} klp PLT32 netfs.netfs_read,0-4`);
  });

  test('a module that the patched one does not depend on is refused', () => {
    // The livepatch core resolves the name while the patched module loads: where the other one is not loaded, this one no longer loads either.
    const orig = object()
      .file('x.c')
      .func('f', body(movEax(1)));
    const patched = object()
      .file('x.c')
      .undef('netfs_read')
      .func('f', body(movEax(2), call('netfs_read')));
    expect(
      extractObjects(orig, patched, { objectName: 'nfs', exports: ['netfs_read@netfs', ...RETURN_THUNK] }).told,
    ).toEqual(['undeclared-dependency netfs_read']);
    expect(extractObjects(orig, patched, { exports: ['netfs_read@netfs', ...RETURN_THUNK] }).told).toEqual([
      'undeclared-dependency netfs_read',
    ]);
  });

  test('an export of the patched module itself is its own', () => {
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('nfs_helper', body())
        .func('f', body(movEax(value), call('nfs_helper')));
    const made = extractObjects(build(1), build(2), {
      objectName: 'nfs',
      exports: ['nfs_helper@nfs', ...RETURN_THUNK],
    });
    expect(made.told).toEqual([]);
    expect(made.relas('f')[0]).toBe(`${AT} klp PLT32 nfs.nfs_helper,0-4`);
    expect(made.funcs).toEqual(['f,0>f']);
  });

  test('a changed function that another one calls is its copy', () => {
    // Called by the old name, the new callee runs only after ftrace has redirected it: during the transition the old one runs in new callers.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('g', body(movEax(value)))
        .func('f', body(movEax(value), call('g')));
    const made = extractObjects(build(1), build(2), { exports: RETURN_THUNK });
    expect(made.relas('f')[0]).toBe(`${AT} PLT32 g-4`);
    expect(made.symbol('g').section).not.toBe('undefined');
    expect(made.object.klpRelas).toEqual([]);
    expect(made.funcs).toEqual(['g,0>g', 'f,0>f']);
  });

  test('a new function goes along and replaces nothing', () => {
    // With a klp_func of its own the whole patch fails: "symbol 'fresh' not found".
    const orig = object()
      .file('x.c')
      .func('f', body(movEax(1)));
    const patched = object()
      .file('x.c')
      .func('fresh', body(movEax(3)), LOCAL)
      .func('f', body(movEax(2), call('fresh')));
    const made = extractObjects(orig, patched, { exports: RETURN_THUNK });
    expect(made.relas('f')[0]).toBe(`${AT} PLT32 fresh-4`);
    expect(made.funcs).toEqual(['f,0>f']);
    expect(made.defined).toEqual(['f', 'fresh']);
  });

  test('what a module does not define and nobody exports is left to its linker', () => {
    // Another object of the same livepatch may define it.
    const made = extractObjects(
      object()
        .file('x.c')
        .func('f', body(movEax(1))),
      object()
        .file('x.c')
        .undef('vmlinux_side')
        .func('f', body(movEax(2), call('vmlinux_side'))),
      { objectName: 'nfs', exports: RETURN_THUNK },
    );
    expect(made.imports).toContain('vmlinux_side');
    expect(made.told).toEqual([]);
  });
});

describe('symbols that only the linker script defines', () => {
  const build = (name: string, value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .undef(name)
      .func('f', body(movEax(value), lea(name)));
  const exports = ['__x86_return_thunk', 'jiffies'];

  test('an exported one is imported', () => {
    expect(
      extractObjects(build('jiffies', 1), build('jiffies', 2), { exports, kernel: ['f', 'jiffies'] }).imports,
    ).toContain('jiffies');
  });

  test('the others are klp symbols, if the kernel lists them', () => {
    // 173 names, all GLOBAL NOTYPE UNDEF: as imports the loader refuses the module.
    const made = extractObjects(build('kallsyms_names', 1), build('kallsyms_names', 2), {
      exports,
      kernel: ['f', 'kallsyms_names'],
    });
    expect(made.told).toEqual([]);
    expect(made.relas('f')).toContain('+0x11 klp PC32 vmlinux.kallsyms_names,0-4');
    expect(
      extractObjects(build('kallsyms_names', 1), build('kallsyms_names', 2), { exports, kernel: ['f'] }).told,
    ).toEqual(['not-in-kernel kallsyms_names']);
  });

  test('bounds of a section are never imported, not even when an export has the name', () => {
    // The linker would bind __start___ex_table to the module's own section of that name.
    const made = extractObjects(build('__start___ex_table', 1), build('__start___ex_table', 2), {
      exports: [...exports, '__start___ex_table'],
      kernel: ['f', '__start___ex_table'],
    });
    expect(made.relas('f')).toContain('+0x11 klp PC32 vmlinux.__start___ex_table,0-4');
    expect(made.imports).toEqual(['__x86_return_thunk']);
  });

  test("without the kernel's symbols nothing proves them", () => {
    expect(extractObjects(build('kallsyms_names', 1), build('kallsyms_names', 2), { exports }).told).toEqual([
      'position-unknown kallsyms_names',
    ]);
  });

  test('a hidden one can be resolved all the same', () => {
    // A module cannot resolve a symbol that is UNDEF and hidden; the linker says so for 2 names of a 7.2 kernel.
    const hidden = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .symbol('__ref_stack_chk_guard', { bind: 'global', other: 2 })
        .func('f', body(movEax(value), lea('__ref_stack_chk_guard')));
    const made = extractObjects(hidden(1), hidden(2), { exports: [...exports, '__ref_stack_chk_guard'] });
    expect(made.symbol('__ref_stack_chk_guard')).toMatchObject({ section: 'undefined' });
    expect((made.symbol('__ref_stack_chk_guard') as { other?: number }).other ?? 0).toBe(0);
  });
});

describe('other kinds of symbols', () => {
  const exports = ['__x86_return_thunk'];

  test('an absolute symbol keeps its value', () => {
    // As an undefined symbol of that name nobody defines it (`L4_PAGE_OFFSET`, 93 assembler constants).
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.S')
        .abs('L4_PAGE_OFFSET', 0x1b8)
        .func('f', body(movEax(value), [0x48, 0xc7, 0xc7, abs32s('L4_PAGE_OFFSET', 8)]));
    const made = extractObjects(build(1), build(2), { exports });
    expect(made.relas('f')).toContain('+0x11 32S L4_PAGE_OFFSET+8');
    expect(made.symbol('L4_PAGE_OFFSET')).toMatchObject({ section: 'absolute', value: 0x1b8 });
  });

  test('a common symbol is refused', () => {
    // The module loader refuses SHN_COMMON: "please compile with -fno-common".
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .common('shared', 8)
        .func('f', body(movEax(value), inc('shared')));
    expect(extractObjects(build(1), build(2), { exports }).told).toEqual(['unresolved-reference shared']);
  });

  test.each([
    [9, 'R_X86_64_GOTPCREL,'],
    [41, 'R_X86_64_GOTPCRELX,'],
    [42, 'R_X86_64_REX_GOTPCRELX,'],
    [14, 'R_X86_64_8,'],
  ])('relocation type %i, which the loader does not know, is refused', (type, name) => {
    // A module with R_X86_64_GOTPCREL fails to load with "Unknown rela relocation".
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('helper', body())
        .func('f', body(movEax(value), [0x48, 0x8b, 0x3d, relocated(4, type, 'helper', -4)]))
        .func('g', body(movEax(value), [0x48, 0x8b, 0x3d, relocated(4, type, 'helper', -4)]));
    const made = extractObjects(build(1), build(2), { exports });
    expect(made.told).toEqual(['unsupported-relocation f', 'unsupported-relocation g']);
    expect(made.messages[0]).toContain(name);
  });

  test('addends need 64 bits', () => {
    // `phys_base + 0x80000000`: cut to 32 bits it is 2 GiB off, 7 times in a 7.2 kernel.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('phys_base', [u64(1)])
        .func('f', body(movEax(value), [0x48, 0xb8, ptr64('phys_base', 0x8000_0000)]));
    expect(extractObjects(build(1), build(2), { exports }).relas('f')[0]).toBe(
      `+0x10 klp 64 vmlinux.phys_base,0+${0x8000_0000}`,
    );
  });

  test('relocations out of order stay where they belong', () => {
    // The linker does not promise an order (`.initcall6.init`): a search by bisection loses some of them.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .data('a', [u32(1)])
        .data('b', [u32(2)])
        .data('c', [u32(3)])
        .func(
          'f',
          code(ENDBR, movEax(value), [0xff, 0x05, u32(0), 0xff, 0x05, u32(0), 0xff, 0x05, u32(0)], hex('c3')),
          {
            relas: [
              { off: 23, type: 2, sym: 'c', addend: -4 },
              { off: 11, type: 2, sym: 'a', addend: -4 },
              { off: 17, type: 2, sym: 'b', addend: -4 },
            ],
          },
        )
        .func('g', body(), { section: '.text.f' });
    expect(extractObjects(build(1), build(2), { exports }).relas('f')).toEqual([
      '+0xb klp PC32 vmlinux.a,0-4',
      '+0x11 klp PC32 vmlinux.b,0-4',
      '+0x17 klp PC32 vmlinux.c,0-4',
    ]);
  });

  test('the loader finds zeros where it writes', () => {
    // "Invalid relocation target, existing value is nonzero": objects of the RELA kind may hold anything there.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('helper', body())
        .func('f', body(movEax(value), [0xe8, relocated(4, 4, 'helper', -4, 0x12345678)]));
    const made = extractObjects(build(1), build(2), { exports });
    expect(made.hex('f').slice((BODY + 6) * 2, (BODY + 10) * 2)).toBe('00000000');
  });

  test('a label inside a function moves with it', () => {
    // A label of an included function is in the copy; by name it would be the running kernel's.
    const build = (value: number, used: number): ObjectBuilder =>
      object()
        .file('entry.S')
        .func('entry', body(movEax(value), hex('90 90')))
        .label('after', { section: '.text.entry', at: BODY + 5, bind: 'global' })
        .func('jumper', body(movEax(used), [0xe9, plt32('after')]));
    expect(extractObjects(build(1, 1), build(2, 2), { exports }).relas('jumper')[0]).toBe(
      `+0xf PLT32 entry+${BODY + 5 - 4}`,
    );
    expect(extractObjects(build(1, 1), build(1, 2), { exports }).relas('jumper')[0]).toBe(
      '+0xf klp PLT32 vmlinux.after,0-4',
    );
  });

  test('a symbol that nothing pairs is refused, whoever reaches it', () => {
    // What uses them is another instruction in each build, so that nothing aligns.
    const build = (use: (name: string) => Body): ObjectBuilder =>
      object()
        .file('x.c')
        .bss('n.1', 8, LOCAL)
        .bss('n.2', 8, LOCAL)
        .func('f', body(use('n.1'), use('n.2')));
    const made = extractObjects(
      build(inc),
      build((name) => [0x8b, 0x05, disp32(name)]),
      { exports },
    );
    expect(made.diff.ambiguous.length).toBe(1);
    expect(made.told.map((text) => text.split(' ')[0])).toContain('ambiguous-data');
  });
});

test('the same object twice gives the same livepatch', () => {
  const build = (value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .bss('counter', 8)
      .func('helper', body())
      .func('f', body(movEax(value), call('helper'), inc('counter'), lea({ string: 'text' })));
  const [one, two] = [extractObjects(build(1), build(2)), extractObjects(build(1), build(2))];
  expect(everything(one)).toEqual(everything(two));
});
