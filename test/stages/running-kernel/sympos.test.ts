/**
 * Positions of symbols in the running kernel. A wrong one patches another function, or hands out another variable, without a
 * word: whatever evidence decides, it must be right, and without evidence the symbol is refused.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ElfObject } from '../../../src/elf';
import { KernelListing } from '../../../src/kernel/listing';
import { Side } from '../../../src/stages/side/side';
import { readTable } from '../../../src/stages/scan';
import { SymbolPositions } from '../../../src/stages/running-kernel/sympos';
import { RETURN, code, object, ptr64, u64, type ObjectBuilder } from '../../support/elf-builder';
import { KERNEL_SCRIPT, linkImage, linkObject } from '../../support/linked-image';
import { readelf } from '../../support/readelf';
import { tempFolder } from '../../support/temp-folder';

const folder = tempFolder();
let serial = 0;

function written(builder: ObjectBuilder): string {
  const path = join(folder, `orig-${serial++}.o`);
  writeFileSync(path, builder.bytes());
  return path;
}

function sideOf(path: string): Side {
  const orig = ElfObject.open(path);
  return new Side(orig, readTable(orig));
}

function listed(...lines: string[]): KernelListing {
  return KernelListing.parse(
    new Uint8Array(Buffer.from(['ffffffff81000000 T _stext', ...lines, ''].join('\n'))),
    'kallsyms',
  );
}

/** The listing of an image as /proc/kallsyms would have it: no sizes, no FILE symbols. */
function namesOf(image: string): KernelListing {
  return listed(...symbolsOf(image).map(({ address, name }) => `${address} t ${name}`));
}

function symbolsOf(image: string): Array<{ address: string; size: number; name: string }> {
  return readelf(image, '-sW')
    .map((line) => line.split(/\s+/))
    .filter(
      (fields) =>
        /^\d+:$/.test(fields[0]!) &&
        fields.length === 8 &&
        !['FILE', 'SECTION'].includes(fields[3]!) &&
        fields[6] !== 'UND',
    )
    .map((fields) => ({ address: fields[1]!, size: Number(fields[2]), name: fields[7]! }));
}

/** What is said of every symbol of a name, by its size: `position`, or the code it is refused with. */
function said(
  side: Side,
  listing: KernelListing | null,
  name: string,
  objectName = 'vmlinux',
): Record<number, number | string> {
  const positions = new SymbolPositions(side, objectName, listing);
  const result: Record<number, number | string> = {};
  for (let symbol = 1; symbol < side.table.symbols; symbol++) {
    if (side.name(symbol) !== name || (side.table.info[symbol]! & 0xf) > 2) continue;
    const position = positions.positionOf(symbol);
    result[side.table.size[symbol]!] = 'sympos' in position ? position.sympos : position.code;
  }
  return result;
}

/** The truth: ranks by address of a name's symbols in a linked image, by their sizes. */
function ranks(image: string, name: string): Record<number, number> {
  const own = symbolsOf(image)
    .filter((symbol) => symbol.name === name)
    .sort((a, b) => (a.address < b.address ? -1 : 1));
  return Object.fromEntries(own.map(({ size }, i) => [size, i + 1]));
}

const body = (bytes: number): ReturnType<typeof code> => code(new Uint8Array(bytes - 5).fill(0x90), RETURN);

/** A unit with functions of its own around a static `show` of a size that only this unit's has. */
function unit(name: string, showBytes: number, sections: boolean, into = object()): ObjectBuilder {
  const options = { bind: 'local' as const, ...(sections ? {} : { section: '.text' }) };
  return into
    .file(`${name}.c`)
    .func(`${name}_first`, body(32), options)
    .func('show', body(showBytes), options)
    .func(`${name}_last`, body(48), options);
}

describe('several symbols of one name', () => {
  const names = ['alpha', 'beta', 'gamma', 'delta'];
  const units = (sections: boolean): ObjectBuilder[] => names.map((name, i) => unit(name, 40 + i * 8, sections));

  test('an image linked from ORIG: by units, and by names alone', () => {
    // `ld -r` gathers `.text.show` of all units in one section, which then lies where the first unit's functions are.
    const orig = linkObject(folder, units(true));
    const image = linkImage(folder, [orig]);
    const truth = ranks(image, 'show');
    expect(Object.keys(truth)).toHaveLength(4);
    const side = sideOf(orig);
    expect(said(side, KernelListing.open(image), 'show')).toEqual(truth);
    expect(said(side, namesOf(image), 'show')).toEqual(truth);
  });

  test('a kernel built without -ffunction-sections: its units are in order, its functions not together', () => {
    // Every distribution kernel: ORIG is a rebuild, and its section order says nothing about the kernel's.
    const side = sideOf(linkObject(folder, units(true)));
    const image = linkImage(folder, units(false));
    expect(said(side, namesOf(image), 'show')).toEqual(ranks(image, 'show'));
  });

  test('a script that sorts sections by name: the first of ORIG is the last of the kernel', () => {
    // Two units with a static of one name in `.data.zzz` and `.data.aaa`: neither the order of the symbol table nor that of sections is the kernel's.
    const build = (): ObjectBuilder =>
      object()
        .file('one.c')
        .data('state', u64s(2), { section: '.data.zzz', bind: 'local' })
        .file('two.c')
        .data('state', u64s(3), { section: '.data.aaa', bind: 'local' });
    const orig = written(build());
    const image = linkImage(folder, [orig], KERNEL_SCRIPT.replace('*(.data .data.*)', '*(SORT_BY_NAME(.data.*))'));
    const truth = ranks(image, 'state');
    expect(truth).toEqual({ 16: 2, 24: 1 });
    expect(said(sideOf(orig), KernelListing.open(image), 'state')).toEqual(truth);
    // Names alone: nothing lies between the two that could tell.
    expect(said(sideOf(orig), namesOf(image), 'state')).toEqual({ 16: 'position-unknown', 24: 'position-unknown' });
  });

  test('.klp.symid decides before anything else', () => {
    // The units' FILE symbols are gone (stripped), and no neighbour is left.
    const orig = written(
      object()
        .data('state', u64s(2), { section: '.data.zzz', bind: 'local' })
        .special('.klp.symid', u64(0), ptr64('state'))
        .file('')
        .data('state', u64s(3), { section: '.data.aaa', bind: 'local' })
        .special('.klp.symid', u64(1), ptr64('state')),
    );
    const image = linkImage(folder, [orig], KERNEL_SCRIPT.replace('*(.data .data.*)', '*(SORT_BY_NAME(.data.*))'));
    const truth = ranks(image, 'state');
    expect(truth).toEqual({ 16: 2, 24: 1 });
    const positions = new SymbolPositions(sideOf(orig), 'vmlinux', KernelListing.open(image));
    expect(positions.evidence[0]!.text).toBe('.klp.symid');
    expect(said(sideOf(orig), KernelListing.open(image), 'state')).toEqual(truth);
  });

  test('symids of another build contradict: refused, not decided by weaker evidence', () => {
    const build = (ids: readonly [number, number]): ObjectBuilder =>
      object()
        .file('a.c')
        .data('state', u64s(2), { section: '.data.state', bind: 'local' })
        .special('.klp.symid', u64(ids[0]), ptr64('state'))
        .file('b.c')
        .data('state', u64s(3), { section: '.data.state', bind: 'local' })
        .special('.klp.symid', u64(ids[1]), ptr64('state'));
    const orig = written(build([7, 8]));
    expect(said(sideOf(orig), KernelListing.open(linkImage(folder, [orig])), 'state')).toEqual({ 16: 1, 24: 2 });
    const stale = KernelListing.open(linkImage(folder, [written(build([0, 1]))]));
    expect(said(sideOf(orig), stale, 'state')).toEqual({ 16: 'position-unknown', 24: 'position-unknown' });
  });

  test('a kernel with another number of them is not decided by rank', () => {
    const side = sideOf(linkObject(folder, units(true)));
    const image = linkImage(folder, units(false).slice(1));
    const got = said(side, namesOf(image), 'show');
    expect(new Set(Object.values(got))).toEqual(new Set(['position-unknown']));
  });

  test('zero-based per-CPU variables come before everything else', () => {
    // x86-64 before 6.15: `.data..percpu` is linked at 0, so `hits` of the second unit is the first `hits` of kallsyms.
    const orig = sideOf(
      written(
        object()
          .file('a.c')
          .data('a_before', u64s(1), { bind: 'local' })
          .data('hits', u64s(1), { bind: 'local' })
          .data('a_behind', u64s(1), { bind: 'local' })
          .file('b.c')
          .data('b_before', u64s(1), { section: '.data..percpu', bind: 'local' })
          .data('hits', u64s(2), { section: '.data..percpu', bind: 'local' })
          .data('b_behind', u64s(1), { section: '.data..percpu', bind: 'local' }),
      ),
    );
    const listing = listed(
      '0000000000001000 A b_before',
      '0000000000001008 A hits',
      '0000000000001018 A b_behind',
      'ffffffff82000000 d a_before',
      'ffffffff82000008 d hits',
      'ffffffff82000010 d a_behind',
    );
    expect(said(orig, listing, 'hits')).toEqual({ 8: 2, 16: 1 });
  });

  test('a global that shares its name with a static needs a position, too', () => {
    // The kernel refuses position 0 for a name that it has twice: `user_read` is a function of the key type and a static of SELinux.
    const orig = written(
      object()
        .file('a.c')
        .func('a_only', body(32), { bind: 'local' })
        .func('read', body(40), { bind: 'local', section: '.text.read' })
        .func('b_only', body(32), { bind: 'local' })
        .file('b.c')
        .func('c_only', body(32), { bind: 'local' })
        .func('read', body(48), { section: '.text.read.2' })
        .func('d_only', body(32), { bind: 'local' }),
    );
    const image = linkImage(folder, [orig]);
    expect(said(sideOf(orig), KernelListing.open(image), 'read')).toEqual(ranks(image, 'read'));
  });
});

test("a name that ORIG does not define, and locals of that name: nobody tells which entry is the linker script's", () => {
  // The undefined one is none of the namesakes whose order is known.
  const orig = written(
    object()
      .undef('bound')
      .file('a.c')
      .func('a_only', body(32), { bind: 'local' })
      .func('bound', body(40), { bind: 'local' })
      .func('b_only', body(32), { bind: 'local' }),
  );
  const listing = listed('ffffffff81000100 t a_only', 'ffffffff81000200 t bound', 'ffffffff81000300 t b_only');
  expect(said(sideOf(orig), listing, 'bound')).toMatchObject({ 0: 'position-unknown' });
});

describe('one symbol of a name', () => {
  const orig = (): Side =>
    sideOf(
      written(
        object()
          .file('a.c')
          .func('alone', body(32), { bind: 'local' })
          .func('call', code(RETURN))
          .section('.discard.x', { flags: 2 })
          .data('gone', u64s(1), { section: '.discard.x', bind: 'local' })
          .undef('__start_notes'),
      ),
    );

  test('has position 0 where the kernel has it once', () => {
    expect(said(orig(), listed('ffffffff81000010 t alone'), 'alone')).toEqual({ 32: 0 });
    expect(said(orig(), listed('ffffffff82000010 R __start_notes'), '__start_notes')).toEqual({ 0: 0 });
  });

  test('is refused where the kernel does not list it, or lists another', () => {
    // An unresolvable klp symbol stops the module from loading; worse is one that resolves to something else.
    expect(said(orig(), listed(), 'alone')).toEqual({ 32: 'not-in-kernel' });
    expect(said(orig(), listed('ffffffff81000010 t alone', 'ffffffff81000020 t alone'), 'alone')).toEqual({
      32: 'position-unknown',
    });
    expect(said(orig(), listed('ffffffff81000010 d gone'), 'gone')).toEqual({ 8: 'not-in-kernel' });
    // Of a loaded module: the kernel looks for vmlinux's only.
    expect(said(orig(), listed('ffffffffc0000010 t alone\t[other]'), 'alone')).toEqual({ 32: 'not-in-kernel' });
  });

  test('without a listing only what ORIG has once, and the evidence says what was not seen', () => {
    const side = orig();
    expect(said(side, null, 'alone')).toEqual({ 32: 0 });
    expect(said(side, null, '__start_notes')).toEqual({ 0: 'position-unknown' });
    const twice = sideOf(
      linkObject(
        folder,
        ['x', 'y'].map((name, i) => unit(name, 40 + i * 8, true)),
      ),
    );
    expect(said(twice, null, 'show')).toEqual({ 40: 'position-unknown', 48: 'position-unknown' });
    const positions = new SymbolPositions(side, 'vmlinux', null);
    const symbol = Array.from({ length: side.table.symbols }, (_, i) => i).find(
      (i) => i > 0 && side.name(i) === 'alone',
    )!;
    expect(positions.positionOf(symbol)).toMatchObject({
      sympos: 0,
      evidence: expect.stringContaining('not seen') as string,
    });
  });
});

describe('names that LTO kernels of 6.2 to 6.10 cut', () => {
  const promoted = (literal: string): Side =>
    sideOf(
      written(
        object()
          .file('kallsyms.c')
          .string(literal)
          .func('k_before', body(32), { bind: 'local' })
          .file('a.c')
          .func('a_before', body(32), { bind: 'local' })
          .func('tick.llvm.111', body(40))
          .func('a_behind', body(32), { bind: 'local' })
          .file('b.c')
          .func('b_before', body(32), { bind: 'local' })
          .func('tick', body(48), { bind: 'local' })
          .func('b_behind', body(32), { bind: 'local' }),
      ),
    );
  const listing = (): KernelListing =>
    listed(
      'ffffffff81000100 t k_before',
      'ffffffff81000200 t a_before',
      'ffffffff81000300 T tick.llvm.111',
      'ffffffff81000400 t a_behind',
      'ffffffff81000500 t b_before',
      'ffffffff81000600 t tick',
      'ffffffff81000700 t b_behind',
    );
  const positionOf = (side: Side, name: string): unknown => {
    const symbol = Array.from({ length: side.table.symbols }, (_, i) => i).find((i) => i > 0 && side.name(i) === name)!;
    return new SymbolPositions(side, 'vmlinux', listing()).positionOf(symbol);
  };

  test('a kernel that holds the string ".llvm." looks for what is before it, and counts all of that name', () => {
    expect(positionOf(promoted('.llvm.'), 'tick.llvm.111')).toMatchObject({ name: 'tick', sympos: 1 });
    expect(positionOf(promoted('.llvm.'), 'tick')).toMatchObject({ name: 'tick', sympos: 2 });
  });

  test('one without it compares whole names', () => {
    expect(positionOf(promoted('llvm'), 'tick.llvm.111')).toMatchObject({ name: 'tick.llvm.111', sympos: 0 });
    expect(positionOf(promoted('llvm'), 'tick')).toMatchObject({ name: 'tick', sympos: 0 });
  });
});

describe('modules', () => {
  test("rank in the module's own symbol table, undefined symbols left out", () => {
    // The kernel passes undefined symbols over; counting `probe` of the exporter would shift both.
    const side = sideOf(
      written(
        object()
          .undef('probe')
          .file('a.c')
          .func('probe', body(40), { bind: 'local' })
          .func('only', body(32), { bind: 'local' })
          .file('b.c')
          .func('probe', body(48), { bind: 'local' }),
      ),
    );
    expect(said(side, null, 'probe', 'mod')).toMatchObject({ 40: 1, 48: 2 });
    expect(said(side, null, 'only', 'mod')).toEqual({ 32: 0 });
  });

  test('a name that init code has, too, changes its rank after loading: refused', () => {
    const side = sideOf(
      written(
        object()
          .file('a.c')
          .func('setup', body(40), { bind: 'local', section: '.init.text' })
          .file('b.c')
          .func('setup', body(48), { bind: 'local' }),
      ),
    );
    expect(said(side, null, 'setup', 'mod')).toEqual({ 40: 'position-unknown', 48: 'position-unknown' });
  });

  test('a listing with the loaded module must have the name', () => {
    const side = sideOf(written(object().file('a.c').func('only', body(32), { bind: 'local' })));
    expect(said(side, listed('ffffffffc0000010 t only\t[mod]'), 'only', 'mod')).toEqual({ 32: 0 });
    expect(said(side, listed('ffffffffc0000010 t other\t[mod]', 'ffffffff81000010 t only'), 'only', 'mod')).toEqual({
      32: 'not-in-kernel',
    });
  });
});

function u64s(count: number): ReturnType<typeof code> {
  return code(...Array.from({ length: count }, (_, i) => u64(i)));
}
