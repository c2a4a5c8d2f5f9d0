import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EM_S390, R_X86_64_64, SHF_ALLOC, SHF_LINK_ORDER, SHF_WRITE } from '../../src/elf/constants';
import {
  ENDBR,
  FENTRY_SITE,
  FTRACE_NOP,
  RETURN,
  abs32s,
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
} from '../support/elf-builder';
import { readelf, readelfComplaints } from '../support/readelf';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let serial = 0;

async function written(builder: ObjectBuilder): Promise<string> {
  return builder.write(join(folder, `${serial++}.o`));
}

/** Columns of `readelf -s` for a name: value, size, type, bind, vis, ndx. */
function symbolRows(path: string, name: string): string[][] {
  return readelf(path, '-sW')
    .map((line) => line.split(/\s+/))
    .filter((row) => row[7] === name)
    .map((row) => row.slice(1, 7));
}

/** `type symbol addend` of the relocations of one section. */
function relaRows(path: string, section: string): string[] {
  const lines = readelf(path, '-rW');
  const start = lines.findIndex((line) => line.includes(`'.rela${section}'`)) + 2;
  const end = lines.findIndex((line, index) => index >= start && line.startsWith('Relocation section'));
  return lines.slice(start, end < 0 ? undefined : end).map((line) => {
    const [offset, , type, , ...target] = line.split(/\s+/);
    return `${parseInt(offset!, 16)} ${type} ${target.join(' ')}`;
  });
}

/** The special sections of an x86-64 kernel, one entry each. */
function withSpecialSections(builder: ObjectBuilder): ObjectBuilder {
  return builder
    .special('.altinstr_replacement', hex('0f 01 ca'))
    .special('.altinstructions', ref32('foo', 4), ref32('.altinstr_replacement'), u16(309), u16(0), 5, 3)
    .special('__bug_table', ref32('foo', 9), ref32({ string: 'kernel/core.c' }), u16(120), u16(0x901))
    .special('__jump_table', ref32('.text.foo', 4), ref32('.text.foo', 9), ref64('key', 1))
    .special('__ex_table', ref32('foo', 4), ref32('foo', 9), u32(3))
    .special('.static_call_sites', ref32('foo', 9), ref32('__SCK__might_resched', 1))
    .special('__mcount_loc', ptr64('.text.foo', 4))
    .special('.ibt_endbr_seal', ref32('foo'))
    .special('.return_sites', ref32('foo', 14))
    .special('runtime_ptr_USER_PTR_MAX', ref32('foo', 2))
    .special('.discard.annotate_data', ref32('__bug_table'), u32(1));
}

describe('object builder', () => {
  it('states a unit as a kernel build leaves it', async () => {
    const builder = object()
      .file('core.c')
      .padded('foo', code(ENDBR, FENTRY_SITE, 0xe8, plt32('bar'), RETURN))
      .func(
        'bar',
        code(
          ENDBR,
          FTRACE_NOP,
          0x48,
          0x8d,
          0x3d,
          disp32({ string: 'hello' }),
          0x48,
          0xc7,
          0xc0,
          abs32s('table', 8),
          RETURN,
        ),
        { bind: 'local' },
      )
      .data('key', [u32(1), u32(0), ptr64('foo')], { bind: 'local' })
      .rodata('table', [ptr64('bar'), ptr64({ string: 'world' })], { bind: 'local' })
      .bss('counter', 8)
      .abs('sp_reg', 3)
      .undef('__fentry__')
      .file('core.c')
      .func('bar', hex('c3'), { bind: 'local' })
      .data('other', [ptr64('bar')], { relas: [{ off: 0, type: R_X86_64_64, sym: { string: 'hello' }, addend: 1 }] });
    const path = await written(withSpecialSections(builder));
    expect(readelfComplaints(path)).toBe('');
    expect(readelf(path, '-sW').filter((line) => line.includes(' FILE ')).length).toBe(2);
    expect(symbolRows(path, '__pfx_foo')[0]!.slice(0, 4)).toEqual(['0000000000000000', '16', 'FUNC', 'GLOBAL']);
    expect(symbolRows(path, 'foo')[0]!.slice(0, 4)).toEqual(['0000000000000010', '19', 'FUNC', 'GLOBAL']);
    expect(symbolRows(path, 'bar').length).toBe(2);
    expect(symbolRows(path, 'counter')[0]!.slice(1, 4)).toEqual(['8', 'OBJECT', 'GLOBAL']);
    expect(symbolRows(path, 'sp_reg')[0]!.at(-1)).toBe('ABS');
    expect(symbolRows(path, '__SCK__might_resched')[0]!.at(-1)).toBe('UND');
    expect(relaRows(path, '.text.foo')).toEqual([
      '21 R_X86_64_NONE __fentry__ - 4',
      '26 R_X86_64_PLT32 bar - 4',
      '31 R_X86_64_PLT32 __x86_return_thunk - 4',
    ]);
    expect(relaRows(path, '.text.bar')).toEqual([
      '12 R_X86_64_PC32 .rodata.str1.1 - 4',
      '19 R_X86_64_32S table + 8',
      '24 R_X86_64_PLT32 __x86_return_thunk - 4',
    ]);
    expect(relaRows(path, '.data.other')).toEqual(['0 R_X86_64_64 bar + 0', '0 R_X86_64_64 .rodata.str1.1 + 1']);
    expect(relaRows(path, '__bug_table')).toEqual(['0 R_X86_64_PC32 foo + 9', '4 R_X86_64_PC32 .rodata.str1.1 + c']);
    expect(relaRows(path, '__jump_table')).toEqual([
      '0 R_X86_64_PC32 .text.foo + 4',
      '4 R_X86_64_PC32 .text.foo + 9',
      '8 R_X86_64_PC64 key + 1',
    ]);
  });

  it('gives each name the local of its own FILE', async () => {
    const builder = object();
    for (const unit of ['a.c', 'b.c'])
      builder
        .file(unit)
        .func('same', hex('c3'), { section: `.text.${unit}`, bind: 'local' })
        .data(`use_${unit}`, [ptr64('same')]);
    const bytes = builder.bytes();
    const path = join(folder, 'scopes.o');
    writeFileSync(path, bytes);
    const [a, b] = symbolRows(path, 'same').map((row) => row[5]);
    expect(a).not.toBe(b);
    const infos = readelf(path, '-rW')
      .filter((line) => line.includes('R_X86_64_64'))
      .map((line) => parseInt(line.split(/\s+/)[1]!.slice(0, 8), 16));
    expect(infos[1]! - infos[0]!).toBe(2); // FILE b.c stands between the two locals
  });

  it('shares sections: several symbols at any offset, aliases, labels, objects without size', async () => {
    const path = await written(
      object()
        .file('entry.S')
        .func('first', hex('90 c3'), { section: '.text' })
        .func('second', hex('c3'), { section: '.text', bind: 'weak' })
        .func('inside', hex(''), { section: '.text', at: 1, size: 1, bind: 'local' })
        .alias('second_alias', 'second', { bind: 'global' })
        .label('.Ltmp0', { section: '.text', at: 1 })
        .bss('init_completion.__key', 0, { bind: 'local' })
        .common('tentative', 8),
    );
    expect(readelfComplaints(path)).toBe('');
    expect(symbolRows(path, 'second')[0]!.slice(0, 4)).toEqual(['0000000000000010', '1', 'FUNC', 'WEAK']);
    expect(symbolRows(path, 'second_alias')[0]!.slice(0, 4)).toEqual(['0000000000000010', '1', 'FUNC', 'GLOBAL']);
    expect(symbolRows(path, 'inside')[0]!.slice(0, 3)).toEqual(['0000000000000001', '1', 'FUNC']);
    expect(symbolRows(path, '.Ltmp0')[0]!.slice(1, 4)).toEqual(['0', 'NOTYPE', 'LOCAL']);
    expect(symbolRows(path, 'init_completion.__key')[0]!.slice(1, 3)).toEqual(['0', 'OBJECT']);
    expect(symbolRows(path, 'tentative')[0]!.at(-1)).toBe('COM');
  });

  it('makes merged sections of every unit', async () => {
    const path = await written(
      object()
        .file('x.c')
        .string('one')
        .string('two')
        .string('one')
        .string('P', { unit: 2 })
        .string('X', { unit: 4 })
        .string('padded', { section: '.rodata.foo.str1.8' })
        .constant('.rodata.cst16', [u64(1), u64(2n ** 64n - 1n)])
        .rodata('names', [ptr64({ string: 'two' }), ptr64({ string: 'X', unit: 4 })]),
    );
    expect(readelfComplaints(path)).toBe('');
    const rows = readelf(path, '-SW')
      .map((line) => line.replace(/^\[\s*\d+\]\s*/, '').split(/\s+/))
      .filter((row) => row[0]?.startsWith('.rodata.'));
    expect(rows.map((row) => `${row[0]} ${row[4]} ${row[5]} ${row[6]} ${row[9]}`)).toEqual([
      '.rodata.str1.1 000008 01 AMS 1',
      '.rodata.str2.2 000004 02 AMS 2',
      '.rodata.str4.4 000008 04 AMS 4',
      '.rodata.foo.str1.8 000007 01 AMS 8',
      '.rodata.cst16 000010 10 AM 16',
      '.rodata.names 000010 00 A 8',
    ]);
    expect(relaRows(path, '.rodata.names')).toEqual([
      '0 R_X86_64_64 .rodata.str1.1 + 4',
      '8 R_X86_64_64 .rodata.str4.4 + 0',
    ]);
  });

  it('writes big-endian objects', async () => {
    const path = await written(
      object({ machine: EM_S390, endian: 'big' })
        .file('core.c')
        .func('foo', code(hex('c0 e5'), relocated(4, 20, 'bar', 2), hex('07 fe')))
        .data('value', [u32(0x11223344), relocated(8, 22, 'foo', 4)])
        .string('P', { unit: 2 }),
    );
    expect(readelfComplaints(path)).toBe('');
    expect(readFileSync(path).includes(Buffer.from('11223344', 'hex'))).toBe(true);
    expect(readFileSync(path).includes(Buffer.from('00500000', 'hex'))).toBe(true);
  });

  it('makes more sections than 16 bits count, 40,000 of them of one name', async () => {
    const builder = object().file('huge.c');
    for (let i = 0; i < 40_000; i++) {
      builder.func(`f${i}`, hex('c3'), { bind: 'local' }).section('__patchable_function_entries', {
        fresh: true,
        linkTo: `.text.f${i}`,
        flags: SHF_ALLOC | SHF_WRITE | SHF_LINK_ORDER,
        body: [u64(i)],
      });
      if (i % 20_000 === 0) builder.relas('__patchable_function_entries', { off: 0, type: R_X86_64_64, sym: `f${i}` });
    }
    const path = await written(builder);
    expect(readelfComplaints(path)).toBe('');
    const sections = readelf(path, '-SW');
    expect(sections.filter((line) => line.includes('] __patchable_function_entries')).length).toBe(40_000);
    expect(relaRows(path, '__patchable_function_entries')[0]).toBe('0 R_X86_64_64 f0 + 0');
    expect(symbolRows(path, 'f39999')[0]!.at(-1)).toBe('80001');
  });

  it('says so when a name could mean two symbols', () => {
    const builder = object()
      .file('x.c')
      .bss('__key', 0, { bind: 'local' })
      .bss('__key', 0, { bind: 'local' })
      .data('p', [ptr64('__key')]);
    expect(() => builder.bytes()).toThrow(/several symbols are called __key/);
  });
});
