/** What only other processors have: ppc64's table of addresses (.toc), s390's halfword distances, their ways to load a line. */
import { describe, expect, test } from 'vitest';
import { EM_PPC64, EM_S390 } from '../src/elf/constants';
import { diffObjects } from './support/diff-objects';
import {
  code,
  hex,
  object,
  relocated,
  u32,
  type Body,
  type ObjectBuilder,
  type RelaSpec,
  type Target,
} from './support/elf-builder';

const R_PPC64_REL24 = 10;
const R_PPC64_ADDR64 = 38;
const R_PPC64_TOC16_HA = 50;
const R_PPC64_TOC16_LO_DS = 64;
const R_390_PC32DBL = 19;

const BLR = 0x4e800020;

/** A unit of ppc64le with the given .toc. */
const ppc64 = (...toc: Target[]): ObjectBuilder =>
  object({ machine: EM_PPC64 })
    .file('x.c')
    .section('.toc', { align: 8, body: toc.map((target) => relocated(8, R_PPC64_ADDR64, target)) });

/** `addis r9,r2,x@toc@ha; ld r3,x@toc@l(r9)` */
const load = (entry: number, at = 0): { body: Body; relas: RelaSpec[] } => ({
  body: [u32(0x3d220000), u32(0xe8690000)],
  relas: [R_PPC64_TOC16_HA, R_PPC64_TOC16_LO_DS].map((type, i) => ({
    off: at + 4 * i,
    type,
    sym: { section: '.toc' },
    addend: entry * 8,
  })),
});

describe('ppc64', () => {
  const reading = (entry: number, ...toc: Target[]): ObjectBuilder => {
    const { body, relas } = load(entry);
    return ppc64(...toc)
      .data('one', [u32(1)])
      .data('two', [u32(2)])
      .func('f', code(body, u32(BLR)), { relas });
  };

  // A silent miss: the code names its place in .toc only, and what stands there decides.
  test.each<[string, Target, Target]>([
    ['variable', 'one', 'two'],
    ['string', { string: 'Text' }, { string: 'text' }],
  ])('another %s in the .toc entry is a change', (_, orig, patched) => {
    expect(diffObjects(reading(0, orig), reading(0, patched)).changed).toEqual({ f: 'reference' });
  });

  // Any function that needs an address more moves all entries behind it.
  test('an entry that only moved within .toc is none', () => {
    expect(diffObjects(reading(0, 'one', 'two'), reading(1, 'two', 'one')).changed).toEqual({});
  });

  /** f loads its line into `register` and calls; the .toc entry that it also loads holds `text`. */
  const reporting = (line: number, register: number, callee: string, text: string): ObjectBuilder => {
    const { body, relas } = load(0);
    return ppc64({ string: text }).func(
      'f',
      code(
        body,
        u32(0x38000000 + register * 0x200000 + line),
        [relocated(4, R_PPC64_REL24, callee, 0, 0x48000001)],
        u32(BLR),
      ),
      { relas },
    );
  };

  test('the line of __might_sleep(file, line) does not count', () => {
    const diff = diffObjects(reporting(10, 4, '__might_sleep', 'x.c'), reporting(11, 4, '__might_sleep', 'x.c'));
    expect(diff).toMatchObject({ changed: {}, ignored: { f: 'line' } });
  });

  test.each([
    ["another function's argument", 4, 'usleep', 'x.c'],
    ['another argument of it', 6, '__might_sleep', 'x.c'],
    ['a printed value without the file name', 5, '__warn_printk', 'other.c'],
    // Which register holds the format is not known here, so nothing proves a line.
    ['a printed value behind the file name', 5, '__warn_printk', 'net/x.c'],
  ])('%s counts', (_, register, callee, text) => {
    expect(diffObjects(reporting(10, register, callee, text), reporting(11, register, callee, text)).changed).toEqual({
      f: 'code',
    });
  });
});

describe('s390', () => {
  /** `larl %r2,text; br %r14`; strings of one section in the given order. */
  const larl = (text: string, ...before: string[]): ObjectBuilder => {
    const builder = object({ machine: EM_S390, endian: 'big' }).file('x.c');
    for (const other of before) builder.string(other);
    return builder.func('f', code(hex('c0 20'), [relocated(4, R_390_PC32DBL, { string: text }, 2)], hex('07 fe')));
  };

  // A silent miss: the addend counts from the instruction, 2 bytes before its field, so a string seemed to begin 2 letters later.
  test('a string whose first letter changes is a change', () => {
    expect(diffObjects(larl('Vmalloc'), larl('vmalloc')).changed).toEqual({ f: 'reference' });
  });

  test('a string that only moved is none', () => {
    expect(diffObjects(larl('Vmalloc'), larl('Vmalloc', 'another')).changed).toEqual({});
  });
});
