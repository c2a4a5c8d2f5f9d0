/** Whose address is taken where a function is redirected, and when its type may change. */
import { describe, expect, test } from 'vitest';
import { body, call, lea, movEax } from '../../support/diff-objects';
import {
  ENDBR,
  FENTRY_SITE,
  RETURN,
  abs32s,
  code,
  hex,
  object,
  ptr64,
  ref32,
  u32,
  type Body,
  type ObjectBuilder,
} from '../../support/elf-builder';
import { extractObjects } from '../../support/extract-objects';

const LOCAL = { bind: 'local' } as const;
const EXPORTS = { exports: ['__x86_return_thunk', '__fentry__'] };

describe('the address of a redirected function', () => {
  const build = (value: number, use: Body, g: Body = body(movEax(value))): ObjectBuilder =>
    object()
      .file('x.c')
      .func('g', g, LOCAL)
      .func('f', body(movEax(value), use))
      .func('other', body(lea('g')));

  test("is ORIG's", () => {
    // `ops->fn == g` of unchanged code is false for the copy's, and that dangles when the livepatch is gone.
    for (const use of [lea('g'), [0x48, 0xc7, 0xc7, abs32s('g')] as Body]) {
      expect(
        extractObjects(build(1, use), build(2, use), EXPORTS)
          .relas('f')
          .filter((line) => / (?:vmlinux\.)?g\b/.test(line)),
      ).toEqual([expect.stringMatching(/klp (?:PC32|32S) vmlinux\.g,0/)]);
    }
  });

  test('... in new data, too', () => {
    const made = extractObjects(build(1, []), build(2, lea('ops')).rodata('ops', [ptr64('g')], LOCAL), EXPORTS);
    expect(made.relas('ops')).toEqual(['+0x0 klp 64 vmlinux.g,0']);
  });

  test('a call goes to the copy', () => {
    // Through the old one it would be redirected once more, and lost while the livepatch is disabled.
    expect(extractObjects(build(1, call('g')), build(2, call('g')), EXPORTS).relas('f')).toContain('+0xf PLT32 g-4');
  });

  test("a label within it is the copy's", () => {
    // _THIS_IP_, tables of labels: old code would go on there.
    const use = lea('g', 5);
    expect(
      extractObjects(build(1, use), build(2, use), EXPORTS)
        .relas('f')
        .filter((line) => line.includes('g')),
    ).toEqual([expect.not.stringContaining('klp')]);
  });

  test("is the copy's where ORIG's may not be called indirectly", () => {
    // Nothing took its address, so it has no endbr64 or boot code removed it: an indirect call raises #CP.
    const bare = (value: number): Body => code(FENTRY_SITE, movEax(value), RETURN);
    const without = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('g', value === 1 ? bare(1) : body(movEax(2)), LOCAL)
        .func('f', body(movEax(value), value === 1 ? call('g') : lea('g')));
    const made = extractObjects(without(1), without(2), EXPORTS);
    expect({ told: made.told, relas: made.relas('f').filter((line) => line.includes(' g')) }).toEqual({
      told: [],
      relas: [expect.not.stringContaining('klp')],
    });
    const sealed = (value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('g', body(movEax(value)), LOCAL)
        .func('f', body(movEax(value), value === 1 ? call('g') : lea('g')))
        .special('.ibt_endbr_seal', ref32('g'));
    expect(
      extractObjects(sealed(1), sealed(2), EXPORTS)
        .relas('f')
        .filter((line) => line.includes(' g')),
    ).toEqual([expect.not.stringContaining('klp')]);
  });
});

describe('kCFI', () => {
  /** A function behind its preamble as Clang leaves it: `mov $hash, %eax`, then NOPs without a name. */
  const typed = (
    builder: ObjectBuilder,
    name: string,
    hash: number,
    content: Body,
    bind: 'local' | 'global' = 'local',
  ): ObjectBuilder =>
    builder
      .func(`__cfi_${name}`, [0xb8, u32(hash)], { section: `.text.${name}`, at: 0, align: 16, bind })
      .func(name, content, { section: `.text.${name}`, at: 16, align: 16, bind });
  /** An indirect call that checks for a hash. */
  const check = (hash: number): Body => [0x41, 0xba, u32(-hash >>> 0), 0x45, 0x03, 0x53, 0xf1];
  const build = (hash: number, more: (b: ObjectBuilder) => ObjectBuilder, value = 1): ObjectBuilder =>
    more(
      typed(object().file('x.c'), 'cb', hash, body(movEax(value)))
        .func('user', body(check(hash)))
        .section('.kcfi_traps', { body: [u32(0)] }),
    );

  test('another type of a function whose address is kept is refused', () => {
    // The old hash stands before the old address: the new call traps.
    const table = (b: ObjectBuilder): ObjectBuilder => b.data('ops', [ptr64('cb')]);
    const made = extractObjects(build(0x1234, table), build(0x4321, table), EXPORTS);
    expect(made.told).toEqual(['changed-type cb']);
    expect(made.diff.diagnostics.map(({ message }) => message).join()).toContain('user');
    const taken = (b: ObjectBuilder): ObjectBuilder => b.func('keep', body(lea('cb')));
    expect(extractObjects(build(0x1234, taken, 1), build(0x4321, taken, 2), EXPORTS).told).toEqual(['changed-type cb']);
  });

  test('... and none that is only called directly', () => {
    const called = (b: ObjectBuilder): ObjectBuilder => b.func('caller', body(call('cb')));
    expect(extractObjects(build(0x1234, called, 1), build(0x4321, called, 2), EXPORTS).told).toEqual([]);
  });

  test('... nor one whose type is the same', () => {
    const table = (b: ObjectBuilder): ObjectBuilder => b.data('ops', [ptr64('cb')]);
    expect(extractObjects(build(0x1234, table, 1), build(0x1234, table, 2), EXPORTS).told).toEqual([]);
  });

  test('the register that tells the number of arguments is no matter', () => {
    // -fsanitize-kcfi-arity: mov $hash, %ecx.
    const arity = (hash: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func('__cfi_cb', [0xb9, u32(hash)], { section: '.text.cb', at: 0, align: 16, ...LOCAL })
        .func('cb', body(), { section: '.text.cb', at: 16, ...LOCAL })
        .func('user', body(check(hash)))
        .data('ops', [ptr64('cb')])
        .section('.kcfi_traps', { body: [u32(0)] });
    expect(extractObjects(arity(1), arity(2), EXPORTS).told).toEqual(['changed-type cb']);
  });

  test('a copy keeps its preamble, before objtool as well', () => {
    // Who calls the copy indirectly looks for the hash 16 bytes before it.
    const plain = (b: ObjectBuilder): ObjectBuilder => b;
    const made = extractObjects(build(0x1234, plain, 1), build(0x1234, plain, 2), EXPORTS);
    const clone = made.symbol('cb');
    expect(clone.value).toBeGreaterThanOrEqual(16);
    const before = Buffer.from(made.section('.text.cb').bytes.subarray(clone.value - 16, clone.value));
    expect(before.toString('hex')).toBe(
      Buffer.from([0xb8, 0x34, 0x12, 0, 0, ...hex('90 90 90 90 90 90 90 90 90 90 90')]).toString('hex'),
    );
  });
});

test('a piece of a function is never redirected nor looked up', () => {
  // Old code would jump into new, and new into old.
  for (const name of ['f.cold', 'f.cold.3', 'f.__part.1', 'f.llvm.123.cold', 'f.llvm.123.__part.2']) {
    const parent = name.includes('.llvm.') ? 'f.llvm.123' : 'f';
    const build = (value: number, cold: number): ObjectBuilder =>
      object()
        .file('x.c')
        .func(parent, body(movEax(value), [0xe9, ...code(call(name)).slice(1)]))
        .func(name, code(movEax(cold), [0xe9, ...code(call(parent)).slice(1)]), {
          ...LOCAL,
          section: '.text.unlikely.f',
        });
    for (const patched of [build(2, 1), build(1, 2)]) {
      const made = extractObjects(build(1, 1), patched, EXPORTS);
      expect({
        name,
        told: made.told,
        funcs: made.funcs,
        klp: made.klpSymbols.map(({ name: symbol }) => symbol),
      }).toEqual({ name, told: [], funcs: [`${parent},0>${parent}`], klp: [parent] });
      expect(made.defined).toContain(name);
    }
  }
});

test('a piece whose function has another name takes along who jumps there', () => {
  const build = (value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .func('renamed', body(call('f.cold')))
      .func('f.cold', code(ENDBR, movEax(value), hex('c3')), { ...LOCAL, section: '.text.unlikely.f' });
  expect(extractObjects(build(1), build(2), EXPORTS)).toMatchObject({ told: [], funcs: ['renamed,0>renamed'] });
});
