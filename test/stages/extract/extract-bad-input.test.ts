/** Damaged objects: extraction ends in an error that says what is wrong with the file, or in a livepatch that can be written. */
import { expect, test } from 'vitest';
import { diagnosticOf } from '../../../src';
import { BODY, body, call, inc, lea, movEax } from '../../support/diff-objects';
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
} from '../../support/elf-builder';
import { everything, extractObjects, type Extracted } from '../../support/extract-objects';
import { mutate } from '../../support/mutate';
import { ELF_CODES } from '../../support/fuzz/outcome';

const LOCAL = { bind: 'local' } as const;
const OPTIONS = { exports: ['__x86_return_thunk', 'exported'] };
const SITE = BODY + 5;

/** Everything that extraction knows, in two small objects. */
function rich(value: number): ObjectBuilder {
  const f = [
    hex('0f 1f 44 00 00'),
    call('helper'),
    call('exported'),
    lea({ string: 'text' }),
    lea({ string: 'PX', unit: 4 }),
    lea({ section: '.rodata' }),
    inc('counter'),
    lea('fresh'),
    lea({ section: '.rodata.cst16' }, 16),
    hex('48 b8 ef cd ab 89 67 45 23 01'),
  ];
  const b = object()
    .file('x.c')
    .func('helper', body(), LOCAL)
    .func('exported', body())
    .bss('counter', 8, LOCAL)
    .data('key', [u64(1), u64(0)], LOCAL)
    .bss('names_cache', 8, LOCAL)
    .bss('f.__key', 0, LOCAL)
    .section('.rodata', { body: [u64(1), u64(2), ptr64('helper')] })
    .constant('.rodata.cst16', [u64(1), u64(2), u64(3), u64(4)])
    .rodata('fresh', [ptr64('helper'), ptr64({ string: 'deep' })], LOCAL)
    .abs('constant', 0x40)
    .padded(
      'f',
      body(movEax(value), ...f, [0x48, 0xc7, 0xc7, relocated(4, 11, 'constant', 0)], inc('f.__key'), [
        0x48,
        0x8d,
        0x3d,
        disp32({ section: '__bug_table' }),
      ]),
    )
    .func('near', body(movEax(value), [0xe8, u32(0x40 - 19)]), { section: '.noinstr.text', at: 0 })
    .func('next', body(), { section: '.noinstr.text', at: 0x40, ...LOCAL })
    .section('.altinstr_replacement', { body: code(call('helper')) })
    .special('.altinstructions', ref32('f', SITE), ref32({ section: '.altinstr_replacement' }), u16(9), u16(0), 5, 5)
    .special('__jump_table', ref32('f', SITE), ref32('f', BODY), ref64('key', 2))
    .special('__ex_table', ref32('f', SITE), ref32('f', BODY), u32(1))
    .special('__bug_table', ref32('f', SITE), ref32({ string: 'format' }), ref32({ string: 'x.c' }), u16(1), u16(2))
    .special('runtime_ptr_names_cache', ref32('f', SITE + 5 + 5 + 5 + 7 * 3 + 6 + 7 * 2 + 2))
    .special('.return_sites', ref32('f', SITE))
    .special('__mcount_loc', ptr64('f', 4))
    .special('__mcount_loc', ptr64('near', 4))
    .special('.orc_unwind_ip', ref32('f'))
    .special('.orc_unwind', hex('11 11 11 11 11 11'))
    .special('.discard.annotate_insn', ref32('f', SITE), u32(8));
  return value === 1
    ? b
    : b.func('before', body(call('helper')), LOCAL).data('__klp_pre_patch_callback_vmlinux', [ptr64('before')], {
        section: '.discard.klp_callback_ptrs',
        ...LOCAL,
      });
}

const EXPECTED: ReadonlySet<string> = new Set(ELF_CODES);

test('the pair that is damaged has everything', () => {
  const made = extractObjects(rich(1), rich(2), OPTIONS);
  expect(made.told).toEqual([]);
  expect(made.funcs).toEqual(['f,0>f', 'near,0>near']);
  expect(Object.keys(made.sections)).toEqual(
    expect.arrayContaining([
      '.text.f',
      '.noinstr.text',
      '.rodata',
      '.rodata.cst16',
      '.rodata.str1.1',
      '.rodata.str4.4',
      '.altinstr_replacement',
      '.altinstructions',
      '__jump_table',
      '__ex_table',
      '__bug_table',
      '.return_sites',
      '__mcount_loc',
      '.orc_unwind',
      '.discard.annotate_insn',
    ]),
  );
  expect(made.hex('f')).not.toContain('efcdab8967452301');
  expect(Object.keys(made.object.callbacks)).toEqual(['pre_patch']);
});

test('a thousand damaged copies', () => {
  const [orig, patched] = [rich(1).bytes(), rich(2).bytes()];
  const outcomes: Record<string, number> = {};
  const bugs: string[] = [];
  for (let seed = 1; seed <= 1000; seed++) {
    const { bytes, done } = mutate(seed % 3 === 0 ? orig : patched, seed);
    let outcome: string;
    try {
      outcome = judge(seed % 3 === 0 ? extractObjects(bytes, patched, OPTIONS) : extractObjects(orig, bytes, OPTIONS));
    } catch (thrown) {
      const { code: what, message } = diagnosticOf(thrown);
      outcome = EXPECTED.has(what) ? 'error' : `bug: ${what}: ${message}`;
    }
    const kind = outcome.split(':', 1)[0]!;
    outcomes[kind] = (outcomes[kind] ?? 0) + 1;
    if (kind === 'bug') bugs.push(`${seed} ${done.join(', ')}: ${outcome}`);
  }
  expect(bugs).toEqual([]);
  // Premise: damage of all sorts.
  expect(outcomes['error']).toBeGreaterThan(100);
  expect(outcomes['refused']).toBeGreaterThan(50);
  expect(outcomes['made']).toBeGreaterThan(200);
});

/** What was extracted must make sense as a file: every relocation within its section, every symbol within its own. */
function judge(made: Extracted): string {
  const { object: output } = made;
  const outside: string[] = [];
  const width = (type: number): number => (type === 1 || type === 24 ? 8 : 4);
  for (const { section, offset, type } of [
    ...output.sections.flatMap((section) => section.relas.map((rela) => ({ section, ...rela }))),
    ...output.klpRelas,
  ]) {
    if (!(offset >= 0 && offset + width(type) <= section.size))
      outside.push(`relocation at ${offset} of ${section.name}, which has ${section.size} bytes`);
  }
  for (const { name, section, value, size } of output.symbols)
    if (typeof section !== 'string' && !(value >= 0 && value + size <= section.size))
      outside.push(`${name} at ${value} of ${section.name}`);
  if (outside.length > 0) return `bug: ${outside.slice(0, 3).join('; ')}`;
  if (JSON.stringify(everything(made)).includes('null,"addend"')) return 'bug: a relocation without a symbol';
  return made.told.length > 0 ? 'refused' : 'made';
}

test.each([
  ['a relocation that names a symbol out of range', (b: Buffer) => relaOf(b, 12, 0xffff, 4)],
  ['an alignment that is no power of two', (b: Buffer) => sections(b, 48, 3n)],
  ['an alignment larger than any memory', (b: Buffer) => sections(b, 48, 1n << 62n)],
] as const)('%s is malformed', (_name, damage) => {
  // Read as they stand they would run past a column, or ask for exabytes.
  const bytes = damage(rich(2).bytes());
  let thrown: unknown;
  try {
    extractObjects(rich(1), bytes, OPTIONS);
  } catch (error) {
    thrown = error;
  }
  expect(diagnosticOf(thrown).code).toBe('malformed-elf');
});

test('a function without a size that is referred to is refused', () => {
  // `.type fresh, @function` without `.size`: an empty copy, and calls to whatever comes to lie behind it.
  const patched = object()
    .file('x.c')
    .func('fresh', hex('c3'), { size: 0, ...LOCAL })
    .func('f', body(movEax(2), [0xe8, plt32('fresh')]));
  expect(
    extractObjects(
      object()
        .file('x.c')
        .func('f', body(movEax(1))),
      patched,
      OPTIONS,
    ).told,
  ).toEqual(['unsized-code fresh', 'unresolved-reference fresh']);
});

test('a field that runs over the end of its function is refused', () => {
  // Its bytes are the next function's: cleared and relocated in the copy, that one is damaged.
  const build = (value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .func('helper', body())
      .func('f', body(movEax(value)), {
        section: '.text.f',
        relas: [{ off: BODY + 8, type: 1, sym: 'helper', addend: 0 }],
      })
      .func('g', body(movEax(value)), { section: '.text.f' });
  expect(extractObjects(build(1), build(2), OPTIONS).told).toEqual(['unresolved-reference f']);
});

/** Overwrites a field of the first relocation of the object's largest rela section. */
function relaOf(bytes: Buffer, offset: number, value: number, width: 4): Buffer {
  const table = Number(bytes.readBigUInt64LE(40));
  const relas = Array.from({ length: bytes.readUInt16LE(60) }, (_, i) => table + i * 64).filter(
    (at) => bytes.readUInt32LE(at + 4) === 4,
  );
  const largest = relas.reduce((a, b) => (bytes.readBigUInt64LE(b + 32) > bytes.readBigUInt64LE(a + 32) ? b : a));
  bytes.writeUIntLE(value, Number(bytes.readBigUInt64LE(largest + 24)) + offset, width);
  return bytes;
}

/** Overwrites a field of every loaded section. */
function sections(bytes: Buffer, offset: number, value: bigint): Buffer {
  const table = Number(bytes.readBigUInt64LE(40));
  for (let i = 1; i < bytes.readUInt16LE(60); i++)
    if ((bytes.readUInt32LE(table + i * 64 + 8) & 2) !== 0) bytes.writeBigUInt64LE(value, table + i * 64 + offset);
  return bytes;
}
