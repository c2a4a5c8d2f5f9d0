/** Runtime constants in code, and the tables that compilers and objtool write about all code. */
import { describe, expect, test } from 'vitest';
import { BODY, body, call, diffObjects, movEax } from '../../support/diff-objects';
import {
  ENDBR,
  FTRACE_NOP,
  code,
  hex,
  object,
  plt32,
  ptr64,
  ref32,
  ref64,
  u16,
  u32,
  u64,
  type ObjectBuilder,
} from '../../support/elf-builder';
import { extractObjects, type ExtractOptions, type Extracted } from '../../support/extract-objects';

const LOCAL = { bind: 'local' } as const;
const EXPORTS = { exports: ['__x86_return_thunk'] };
const PLACEHOLDER = 'ef cd ab 89 67 45 23 01';
const SITE = BODY + 5;

describe('runtime constants', () => {
  /** f holds `mov $X, %reg` at SITE; the entry names the immediate, 2 bytes behind. */
  const reading = (
    opcode: string,
    rest: (b: ObjectBuilder) => ObjectBuilder = (b) => b.bss('names_cache', 8, LOCAL),
    options: ExtractOptions = EXPORTS,
  ): Extracted => {
    const build = (value: number): ObjectBuilder =>
      rest(object().file('x.c'))
        .func('f', body(movEax(value), hex(`${opcode} ${PLACEHOLDER}`)))
        .special('runtime_ptr_names_cache', ref32('f', SITE + 2));
    return extractObjects(build(1), build(2), options);
  };

  // REX, opcode of `mov $imm64, %reg`; REX, ModRM of `mov X(%rip), %reg`.
  test.each([
    ['%rax', '48 b8', '488b05'],
    ['%rcx', '48 b9', '488b0d'],
    ['%rdx', '48 ba', '488b15'],
    ['%rbx', '48 bb', '488b1d'],
    ['%rsp', '48 bc', '488b25'],
    ['%rbp', '48 bd', '488b2d'],
    ['%rsi', '48 be', '488b35'],
    ['%rdi', '48 bf', '488b3d'],
    ['%r8', '49 b8', '4c8b05'],
    ['%r9', '49 b9', '4c8b0d'],
    ['%r10', '49 ba', '4c8b15'],
    ['%r11', '49 bb', '4c8b1d'],
    ['%r12', '49 bc', '4c8b25'],
    ['%r13', '49 bd', '4c8b2d'],
    ['%r14', '49 be', '4c8b35'],
    ['%r15', '49 bf', '4c8b3d'],
  ])('a pointer in %s is loaded instead', (register, move, load) => {
    // The kernel fills the immediate in at boot, in its own text only: a cloned `__fput` frees into cache 0x0123456789abcdef.
    const made = reading(move);
    expect(made.told, register).toEqual([]);
    expect(made.hex('f').slice(SITE * 2, (SITE + 10) * 2)).toBe(`${load}000000000f1f00`);
    expect(made.relas('f')[0]).toBe(`+0x${(SITE + 3).toString(16)} klp PC32 vmlinux.names_cache,0-4`);
    expect(made.hex('f').slice((SITE + 10) * 2)).toBe('e900000000');
    expect(made.sections['runtime_ptr_names_cache']).toBeUndefined();
  });

  test('an exported variable is imported', () => {
    const made = reading('48 b8', (b) => b.bss('names_cache', 8), { exports: [...EXPORTS.exports, 'names_cache'] });
    expect(made.relas('f')[0]).toBe(`+0x${(SITE + 3).toString(16)} PC32 names_cache-4`);
    expect(made.imports).toContain('names_cache');
  });

  test('one that LTO renamed', () => {
    expect(reading('48 b8', (b) => b.bss('names_cache.llvm.77', 8)).relas('f')[0]).toBe(
      `+0x${(SITE + 3).toString(16)} klp PC32 vmlinux.names_cache.llvm.77,0-4`,
    );
  });

  test("of several, the one of the function's unit", () => {
    // Another unit's goes by a promoted name; two of which none is the unit's own are refused.
    const made = (bind: 'local' | 'global', more: (b: ObjectBuilder) => ObjectBuilder = (b) => b): Extracted => {
      const build = (value: number): ObjectBuilder =>
        more(object().file('a.c').bss('names_cache.llvm.7', 8))
          .file('x.c')
          .bss('names_cache', 8, LOCAL)
          .func('f', body(movEax(value), hex(`48 b8 ${PLACEHOLDER}`)), { bind })
          .special('runtime_ptr_names_cache', ref32('f', SITE + 2));
      return extractObjects(build(1), build(2), EXPORTS);
    };
    expect(made('local').relas('f')[0]).toContain('klp PC32 vmlinux.names_cache,0-4');
    expect(made('global').relas('f')[0]).toContain('klp PC32 vmlinux.names_cache.llvm.7,0-4');
    expect(made('global', (b) => b.bss('names_cache.llvm.8', 8)).told).toEqual(['runtime-constant f']);
  });

  test('none, or one of another size, is refused', () => {
    expect(reading('48 b8', (b) => b).told).toEqual(['runtime-constant f']);
    expect(reading('48 b8', (b) => b.bss('names_cache', 4)).told).toEqual(['runtime-constant f']);
  });

  test('shifts, other instructions and sites that something else rewrites are refused', () => {
    // No load has the length of a shift; half-rewritten code runs with the placeholder.
    const refused = (part: Uint8Array, entry: (b: ObjectBuilder) => ObjectBuilder): string[] => {
      const build = (value: number): ObjectBuilder =>
        entry(
          object()
            .file('x.c')
            .bss('names_cache', 8)
            .bss('d_hash_shift', 4)
            .data('key', [u64(1), u64(0)])
            .func('f', body(movEax(value), part)),
        );
      return extractObjects(build(1), build(2), EXPORTS).told;
    };
    expect(refused(hex('c1 e8 0c'), (b) => b.special('runtime_shift_d_hash_shift', ref32('f', SITE + 2)))).toEqual([
      'runtime-constant f',
    ]);
    expect(
      refused(hex(`48 a1 ${PLACEHOLDER}`), (b) => b.special('runtime_ptr_names_cache', ref32('f', SITE + 2))),
    ).toEqual(['runtime-constant f']);
    expect(
      refused(hex('48 b8 00 00 00 00 00 00 00 00'), (b) => b.special('runtime_ptr_names_cache', ref32('f', SITE + 2))),
    ).toEqual(['runtime-constant f']);
    const jump =
      (at: number) =>
      (b: ObjectBuilder): ObjectBuilder =>
        b
          .special('runtime_ptr_names_cache', ref32('f', SITE + 2))
          .special('__jump_table', ref32('f', at), ref32('f', BODY), ref64('key'));
    expect(refused(hex(`48 b8 ${PLACEHOLDER}`), jump(SITE + 6))).toEqual(['runtime-constant f']);
    expect(refused(hex(`48 b8 ${PLACEHOLDER} 0f 1f 44 00 00`), jump(SITE + 10))).toEqual([]);
  });

  // Linux 7.3, `__futex_hash`: a cloned one would look 0x12345678 entries behind the table.
  describe('masks', () => {
    const MASK = '78 56 34 12';
    const masked = (part: string, at: number, more: (b: ObjectBuilder) => ObjectBuilder = (b) => b): Extracted => {
      const build = (value: number): ObjectBuilder =>
        more(object().file('core.c').bss('__futex_mask', 4, LOCAL))
          .func('f', body(movEax(value), hex(part)))
          .special('runtime_mask___futex_mask', ref32('f', SITE + at));
      return extractObjects(build(1), build(2), EXPORTS);
    };

    // `81 /4 imm32`, with REX.B for the upper registers; `and X(%rip), %r32` is as long, and has REX.R there.
    test.each([
      ['%ecx', '81 e1', '230d'],
      ['%edi', '81 e7', '233d'],
      ['%r8d', '41 81 e0', '442305'],
      ['%r15d', '41 81 e7', '44233d'],
    ])('of %s is read from the variable', (register, and, load) => {
      const at = load.length / 2;
      const made = masked(`${and} ${MASK}`, at);
      expect(made.told, register).toEqual([]);
      expect(made.hex('f').slice(SITE * 2, (SITE + at + 4) * 2)).toBe(`${load}00000000`);
      expect(made.relas('f')[0]).toBe(`+0x${(SITE + at).toString(16)} klp PC32 vmlinux.__futex_mask,0-4`);
      expect(made.sections['runtime_mask___futex_mask']).toBeUndefined();
    });

    test('the short form for %eax has no room, and other instructions or values are none', () => {
      expect(masked(`25 ${MASK}`, 1).told).toEqual(['runtime-constant f']);
      expect(masked(`81 c9 ${MASK}`, 2).told).toEqual(['runtime-constant f']);
      expect(masked('81 e1 79 56 34 12', 2).told).toEqual(['runtime-constant f']);
    });

    test('the variable has four bytes', () => {
      const wide = (b: ObjectBuilder): ObjectBuilder => b.bss('__futex_mask.llvm.1', 8);
      expect(masked(`81 e1 ${MASK}`, 2, wide).told).toEqual([]);
      const build = (value: number): ObjectBuilder =>
        object()
          .file('core.c')
          .bss('__futex_mask', 8, LOCAL)
          .func('f', body(movEax(value), hex(`81 e1 ${MASK}`)))
          .special('runtime_mask___futex_mask', ref32('f', SITE + 2));
      expect(extractObjects(build(1), build(2), EXPORTS).told).toEqual(['runtime-constant f']);
    });

    // What is not known would be copied with its placeholder, in silence.
    test('a kind that nobody knows yet is refused by name', () => {
      const build = (value: number): ObjectBuilder =>
        object()
          .file('core.c')
          .bss('limit', 4, LOCAL)
          .func('f', body(movEax(value), hex(`81 e1 ${MASK}`)))
          .special('runtime_slope_limit', ref32('f', SITE + 2));
      expect(extractObjects(build(1), build(2), EXPORTS).told).toEqual(['runtime-constant f']);
    });
  });

  test('new functions obey the same rule', () => {
    const orig = object()
      .file('x.c')
      .bss('names_cache', 8, LOCAL)
      .func('f', body(movEax(1)));
    const patched = object()
      .file('x.c')
      .bss('names_cache', 8, LOCAL)
      .func('fresh', body(movEax(3), hex(`48 b8 ${PLACEHOLDER}`)), LOCAL)
      .func('f', body(movEax(2), call('fresh')))
      .special('runtime_ptr_names_cache', ref32('fresh', SITE + 2));
    const made = extractObjects(orig, patched, EXPORTS);
    expect(made.hex('fresh')).not.toContain('efcdab8967452301');
    expect(made.relas('fresh')[0]).toContain('klp PC32 vmlinux.names_cache,0-4');
  });
});

describe('tables of code addresses', () => {
  test.each([
    ['__mcount_loc', 8, 'both', '64'],
    ['.smp_locks', 4, 'both', 'PC32'],
    ['.kcfi_traps', 4, 'both', 'PC32'],
    ['.return_sites', 4, 'module', 'PC32'],
    ['.retpoline_sites', 4, 'module', 'PC32'],
    ['.call_sites', 4, 'module', 'PC32'],
    ['.cfi_sites', 4, 'module', 'PC32'],
    ['.discard.annotate_insn', 8, 'build', 'PC32'],
    ['.discard.reachable', 4, 'build', 'PC32'],
  ] as const)('%s: exactly the entries of included code', (section, size, use, type) => {
    // One too many and the kernel rewrites or counts code that is not the livepatch's; one missing and a site keeps its default.
    const at = (name: string, plus: number): Parameters<ObjectBuilder['special']> =>
      size === 8 && type === '64'
        ? [section, ptr64(name, plus)]
        : size === 8
          ? [section, ref32(name, plus), u32(8)]
          : [section, ref32(name, plus)];
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body(movEax(value)))
        .func('g', body(movEax(9)))
        .special(...at('g', 4))
        .special(...at('f', 4))
        .special(...at('g', BODY))
        .special(...at('f', BODY));
    const made = extractObjects(build(1), build(2), EXPORTS);
    expect(made.relas(section)).toEqual([`+0x0 ${type} f+4`, `+0x${size.toString(16)} ${type} f+9`]);
    expect(made.section(section)).toMatchObject({ size: 2 * size, use });
    if (section === '.discard.annotate_insn') expect(made.hex(section)).toBe('00000000080000000000000008000000');
  });

  test("functions of one section: only the copied one's", () => {
    // By section a neighbour's sites would come along, and point into the livepatch's next function.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('a', body(movEax(9)), { section: '.text.a', at: 0 })
        .func('b', body(movEax(value)), { section: '.text.a', at: 0x40 })
        .func('c', body(movEax(9)), { section: '.text.a', at: 0x80 })
        .special('.return_sites', ref32({ section: '.text.a' }, 14))
        .special('.return_sites', ref32({ section: '.text.a' }, 0x40 + 14))
        .special('.return_sites', ref32({ section: '.text.a' }, 0x80 + 14));
    expect(extractObjects(build(1), build(2), EXPORTS).relas('.return_sites')).toEqual(['+0x0 PC32 b+14']);
  });

  test('sites of replacement code and of padding count, too', () => {
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .padded('f', body(movEax(value), hex('0f 1f 44 00 00')))
        .func('thunk', body())
        .section('.altinstr_replacement', { body: code(hex('90 90'), [0xe8, plt32('thunk')]) })
        .special(
          '.altinstructions',
          ref32('f', SITE),
          ref32({ section: '.altinstr_replacement' }, 2),
          u16(9),
          u16(0),
          5,
          5,
        )
        .special('.retpoline_sites', ref32({ section: '.altinstr_replacement' }, 2))
        .special('.retpoline_sites', ref32({ section: '.altinstr_replacement' }, 0))
        .special('.cfi_sites', ref32('__pfx_f', 0));
    const made = extractObjects(build(1), build(2), EXPORTS);
    expect(made.relas('.retpoline_sites')).toEqual(['+0x0 PC32 .altinstr_replacement']);
    expect(made.relas('.cfi_sites')).toEqual(['+0x0 PC32 f-16']);
  });

  test('the seal is not copied', () => {
    // A replacement that is sealed by ORIG's list loses the ENDBR that its own callers may need.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body(movEax(value)))
        .special('.ibt_endbr_seal', ref32('f'));
    expect(extractObjects(build(1), build(2), EXPORTS).sections['.ibt_endbr_seal']).toBeUndefined();
  });
});

describe('stack layouts', () => {
  const word = (digit: string): Uint8Array => hex(digit.repeat(6));
  /** An ORC entry: address and word. */
  const orc = (b: ObjectBuilder, name: string, plus: number, digit: string): ObjectBuilder =>
    b.special('.orc_unwind_ip', ref32(name, plus)).special('.orc_unwind', word(digit));
  const words = (made: Extracted): string[] =>
    Array.from({ length: made.sections['.orc_unwind']! / 6 }, (_, i) =>
      made.hex('.orc_unwind').slice(i * 12, i * 12 + 2),
    );

  test('of a function of its own: its entries, and the end', () => {
    // Without the end the unwinder takes the last word for what lies behind; without the start nothing is known of the first bytes.
    const build = (value: number): ObjectBuilder =>
      orc(
        orc(
          orc(
            orc(
              object()
                .file('x.c')
                .func('f', body(movEax(value)))
                .func('g', body(movEax(9))),
              'g',
              0,
              '11',
            ),
            'f',
            0,
            '22',
          ),
          'f',
          9,
          '33',
        ),
        'f',
        19,
        '44',
      );
    const made = extractObjects(build(1), build(2), EXPORTS);
    const size = made.symbol('f').size;
    expect(size).toBe(19);
    expect(made.relas('.orc_unwind_ip')).toEqual(['+0x0 PC32 f', '+0x4 PC32 f+9', '+0x8 PC32 f+19']);
    expect(words(made)).toEqual(['22', '33', '00']);
    expect([made.section('.orc_unwind').use, made.section('.orc_unwind_ip').use]).toEqual(['module', 'module']);
  });

  test('of one in a shared section: the word that holds at its start', () => {
    // Its entries alone say nothing of the bytes before the first of them.
    const build = (value: number): ObjectBuilder => {
      const shared = object()
        .file('x.c')
        .func('a', body(movEax(9)), { section: '.text.a', at: 0 })
        .func('b', body(movEax(value)), { section: '.text.a', at: 0x20 })
        .func('c', body(movEax(9)), { section: '.text.a', at: 0x40 });
      return [
        [0, '11'],
        [9, '22'],
        [0x20 + 9, '33'],
        [0x40, '44'],
      ].reduce(
        (b, [plus, digit]) =>
          b
            .special('.orc_unwind_ip', ref32({ section: '.text.a' }, plus as number))
            .special('.orc_unwind', word(digit as string)),
        shared,
      );
    };
    const made = extractObjects(build(1), build(2), EXPORTS);
    expect(made.relas('.orc_unwind_ip')).toEqual(['+0x0 PC32 b', '+0x4 PC32 b+9', '+0x8 PC32 b+19']);
    expect(words(made)).toEqual(['22', '33', '00']);
  });

  test('with padding: from the padding on', () => {
    const build = (value: number): ObjectBuilder =>
      orc(
        orc(
          object()
            .file('x.c')
            .padded('f', body(movEax(value))),
          '__pfx_f',
          0,
          '11',
        ),
        'f',
        9,
        '22',
      );
    const made = extractObjects(build(1), build(2), EXPORTS);
    expect(made.relas('.orc_unwind_ip')).toEqual(['+0x0 PC32 f-16', '+0x4 PC32 f+9', '+0x8 PC32 f+19']);
    expect(words(made)).toEqual(['11', '22', '00']);
  });

  test('words stay with their addresses, whatever the order in the table', () => {
    const build = (value: number): ObjectBuilder =>
      orc(
        orc(
          orc(
            object()
              .file('x.c')
              .func('f', body(movEax(value))),
            'f',
            9,
            '33',
          ),
          'f',
          4,
          '22',
        ),
        'f',
        0,
        '11',
      );
    expect(words(extractObjects(build(1), build(2), EXPORTS))).toEqual(['11', '22', '33', '00']);
  });

  test('a kernel without them has none', () => {
    const build = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('f', body(movEax(value)));
    expect(extractObjects(build(1), build(2), EXPORTS).sections['.orc_unwind']).toBeUndefined();
  });
});

test('an ftrace site that the compiler calls keeps its relocation', () => {
  // GCC leaves `call __fentry__`: the module imports it, and its own __mcount_loc lists the site.
  const build = (value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .undef('__fentry__')
      .func('f', code(ENDBR, [0xe8, plt32('__fentry__')], movEax(value), hex('c3')))
      .special('__mcount_loc', ptr64('f', 4));
  const made = extractObjects(build(1), build(2), { exports: ['__fentry__'] });
  expect(made.relas('f')).toEqual(['+0x5 PLT32 __fentry__-4']);
  expect(made.relas('__mcount_loc')).toEqual(['+0x0 64 f+4']);
  // A site that objtool made a NOP has a relocation that does nothing.
  const nop = (value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .undef('__fentry__')
      .func('f', code(ENDBR, FTRACE_NOP, movEax(value), hex('c3')), {
        relas: [{ off: 5, type: 0, sym: '__fentry__', addend: -4 }],
      });
  expect(extractObjects(nop(1), nop(2), EXPORTS)).toMatchObject({ imports: [], told: [] });
  expect(diffObjects(nop(1), nop(2)).changed).toEqual({ f: 'code' });
});
