/** Whether ORIG is the running kernel: a livepatch of another build loads, and patches in what that build had. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KernelListing } from '../../../src/kernel/listing';
import { ElfObject } from '../../../src/elf';
import { checkRunningKernel } from '../../../src/stages/running-kernel';
import { Side } from '../../../src/stages/side/side';
import { readTable } from '../../../src/stages/scan';
import { SymbolPositions } from '../../../src/stages/running-kernel/sympos';
import {
  ENDBR,
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
  u16,
  u64,
  type Body,
  type ObjectBuilder,
} from '../../support/elf-builder';
import { linkImage } from '../../support/linked-image';
import { readelf } from '../../support/readelf';
import { tempFolder } from '../../support/temp-folder';

const folder = tempFolder();
let serial = 0;

const MOV = hex('b8 01 00 00 00');

/** f with every kind of place that linking or boot writes to. Offsets: 4 ftrace, 9 mov, 14 alternative, 17 jump label, 19 call, 24 indirect call, 29 data, 36 absolute, 41 return. */
const F: Body = code(
  ENDBR,
  FTRACE_NOP,
  MOV,
  hex('0f 01 ca'),
  hex('66 90'),
  0xe8,
  plt32('helper'),
  0xe8,
  plt32('__x86_indirect_thunk_rax'),
  hex('48 8b 05'),
  disp32('state'),
  0xbf,
  abs32s('state'),
  RETURN,
);

function build(f: Body = F, state = 2, extra?: (builder: ObjectBuilder) => ObjectBuilder): ObjectBuilder {
  const builder = object()
    .file('a.c')
    .func('helper', code(MOV, RETURN), { bind: 'local' })
    .func('f', f)
    .data(
      'state',
      Array.from({ length: state }, () => u64(0)),
      { bind: 'local' },
    )
    .func('other', code(MOV, 0xe8, plt32('helper'), RETURN))
    .special('.altinstructions', ref32('f', 14), ref32({ section: '.altinstr_replacement' }), u16(1), u16(0), 3, 3)
    .special('__jump_table', ref32('f', 17), ref32('f', 19), ptr64('state'))
    .special('.call_sites', ref32('f', 19))
    .special('.retpoline_sites', ref32('f', 24))
    .special('.return_sites', ref32('f', 41))
    .special('__mcount_loc', ptr64('f', 4))
    .special('.ibt_endbr_seal', ref32('f'))
    .constant('.altinstr_replacement', hex('90 90 90'));
  return extra?.(builder) ?? builder;
}

function check(orig: ObjectBuilder, listing: KernelListing, names: readonly string[] = ['f']): string[] {
  const path = join(folder, `orig-${serial++}.o`);
  writeFileSync(path, orig.bytes());
  const elf = ElfObject.open(path);
  const side = new Side(elf, readTable(elf));
  const numbers = (wanted: readonly string[]): number[] =>
    Array.from({ length: side.table.symbols }, (_, i) => i).filter(
      (symbol) => symbol > 0 && wanted.includes(side.name(symbol)),
    );
  const found = checkRunningKernel({
    orig: side,
    positions: new SymbolPositions(side, 'vmlinux', listing),
    listing,
    functions: numbers(names),
    references: numbers(['state']),
  });
  expect(found.every(({ code: what, severity }) => what === 'orig-not-running-kernel' && severity === 'refusal')).toBe(
    true,
  );
  return found.map(({ message }) => message.replace(/ \/\S*/g, ' IMAGE'));
}

/** The image with other bytes at `symbol` + `offset`, as boot leaves them in memory. */
function rewritten(
  image: string,
  symbol: string,
  ...changes: ReadonlyArray<readonly [offset: number, bytes: string]>
): KernelListing {
  const bytes = readFileSync(image);
  const address = BigInt(
    `0x${readelf(image, '-sW')
      .map((line) => line.split(/\s+/))
      .find((fields) => fields[7] === symbol)![1]!}`,
  );
  const text = readelf(image, '-SW')
    .map((line) => line.replace(/^\[\s*/, '').split(/\s+/))
    .find((fields) => fields[1] === '.text')!;
  const start = parseInt(text[4]!, 16) + Number(address - BigInt(`0x${text[3]!}`));
  for (const [offset, digits] of changes) bytes.set(hex(digits), start + offset);
  const path = `${image}.rewritten`;
  writeFileSync(path, bytes);
  return KernelListing.open(path);
}

describe('a linked image', () => {
  test('linked from ORIG is the running kernel', () => {
    const image = linkImage(folder, [build()]);
    // The premise: linking has written into f.
    expect(execFileSync('objdump', ['-d', '--no-show-raw-insn', image], { encoding: 'utf8' })).toMatch(
      /call +\S+ <helper>/,
    );
    expect(check(build(), KernelListing.open(image))).toEqual([]);
  });

  test('code that boot rewrites does not count', () => {
    // Memory instead of a file: NOPs for ftrace, a sealed ENDBR, a taken alternative and jump label, direct calls, `ret`.
    const image = linkImage(folder, [build()]);
    const memory = rewritten(
      image,
      'f',
      [0, '0f 1f 40 00'],
      [4, 'e8 11 22 33 44'],
      [14, '90 90 90'],
      [17, 'eb 05'],
      [19, '0f 1f 44 00 00'],
      [24, 'ff d0 0f 1f 00'],
      [41, 'c3 cc cc cc cc'],
    );
    expect(check(build(), memory)).toEqual([]);
  });

  test('one other instruction is told with its place', () => {
    const image = linkImage(folder, [build()]);
    expect(check(build(), rewritten(image, 'f', [10, '02']))).toEqual([
      expect.stringMatching(/^f is not the running kernel's: at f\+0xa ORIG has 01 .*has 02 /),
    ]);
    // Only functions that the livepatch replaces count: nobody asks about `other`.
    expect(check(build(), rewritten(image, 'other', [1, '02']))).toEqual([]);
    expect(check(build(), rewritten(image, 'other', [1, '02']), ['f', 'other'])).toHaveLength(1);
  });

  test('an opcode before a linked field is code', () => {
    // A load where ORIG computes the address: the relocated field is the same.
    const image = linkImage(folder, [build()]);
    expect(check(build(), rewritten(image, 'f', [30, '8d']))).toHaveLength(1);
  });

  test('other sizes of the function and of what it refers to', () => {
    const longer = linkImage(folder, [build(code(F as Uint8Array | Body, hex('90')))]);
    expect(check(build(), KernelListing.open(longer))).toEqual([
      expect.stringMatching(/^f is not the running kernel's: ORIG has 46 bytes, IMAGE 47/),
    ]);
    const larger = linkImage(folder, [build(F, 3)]);
    expect(check(build(), KernelListing.open(larger))).toEqual([
      expect.stringMatching(/^state is not the running kernel's: ORIG has 16 bytes, IMAGE 24/),
    ]);
  });

  test('a variable that is a function there', () => {
    const image = linkImage(folder, [
      object()
        .file('a.c')
        .func('helper', code(MOV, RETURN), { bind: 'local' })
        .func('f', F)
        .func('state', code(new Uint8Array(11).fill(0x90), RETURN), { bind: 'local' }),
    ]);
    expect(check(build(), KernelListing.open(image))).toEqual([
      expect.stringMatching(/^state is not .* ELF type 1, .* of 2/),
    ]);
  });
});

describe('a list of names', () => {
  const listed = (...names: string[]): KernelListing =>
    KernelListing.parse(
      new Uint8Array(
        Buffer.from(
          ['_stext', ...names]
            .map((name, i) => `ffffffff81${(i * 64).toString(16).padStart(6, '0')} t ${name}\n`)
            .join(''),
        ),
      ),
      'kallsyms',
    );

  test('must have every function of ORIG', () => {
    expect(check(build(), listed('helper', 'f', 'state', 'other'))).toEqual([]);
    expect(check(build(), listed('helper', 'f', 'state'))).toEqual([
      "kallsyms lacks 1 of ORIG's 3 functions, the first of them other: ORIG is not the running kernel",
    ]);
  });

  test('a prefix of another name is no missing function', () => {
    // Of the names at one address objtool gives any one a prefix: __pfx___do_sys_getpid in one build, __pfx___x64_sys_getpid in the next.
    const prefixed = build(F, 2, (b) =>
      b.padded('__do_sys_getpid', code(MOV, RETURN)).alias('__x64_sys_getpid', '__do_sys_getpid'),
    );
    const names = ['helper', 'f', 'state', 'other', '__do_sys_getpid', '__x64_sys_getpid'];
    expect(check(prefixed, listed(...names, '__pfx___x64_sys_getpid'))).toEqual([]);
    // Premise: a function that is missing is told.
    expect(check(prefixed, listed(...names.slice(0, -1)))).toEqual([expect.stringContaining('__x64_sys_getpid')]);
  });

  test('need not have what no kernel lists', () => {
    // Discarded sections, and exit code of built-in drivers.
    const extra = (builder: ObjectBuilder): ObjectBuilder =>
      builder
        .section('.discard.text', { flags: 6 })
        .func('gone', code(RETURN), { section: '.discard.text' })
        .func('leave', code(RETURN), { section: '.exit.text' });
    expect(check(build(F, 2, extra), listed('helper', 'f', 'state', 'other'))).toEqual([]);
  });
});
