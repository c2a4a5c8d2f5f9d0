import { describe, expect, test } from 'vitest';
import { R_X86_64_64, STT_OBJECT } from '../../../src/elf/constants';
import { Identity, Trait, readTable } from '../../../src/stages/scan';
import { opened, scan } from '../../support/diff-objects';
import { object, type ObjectBuilder } from '../../support/elf-builder';

const KIB = 1024;

describe('symbols that lie over each other', () => {
  /** `count` objects of 256 KiB less 1, 2, ... bytes in a section of that size. */
  const stacked = (count: number): ObjectBuilder => {
    const builder = object()
      .file('x.c')
      .section('.rodata.all', { body: new Uint8Array(256 * KIB) });
    for (let i = 0; i < count; i++)
      builder.symbol(`o${i}`, { section: '.rodata.all', at: 0, size: 256 * KIB - i, type: STT_OBJECT });
    return builder;
  };

  test('are refused where they are more than four times the file', () => {
    // Each is read by itself: 100 of them in a file of 270 KB made a run of 25 s, and a larger file one of days.
    expect(() => scan(stacked(100))).toThrow(
      expect.objectContaining({
        code: 'malformed-elf',
        message: expect.stringMatching(
          /symbols of section \d+ up to \d+ \(o\d\) lie over each other: .*more than 4 times the file/,
        ) as string,
      }),
    );
    const { table } = scan(stacked(4));
    expect([2, 3, 4, 5].map((symbol) => [table.size[symbol]! > 255 * KIB, table.has(symbol, Trait.CONTENT)])).toEqual(
      Array(4).fill([true, true]),
    );
  });

  test('count with their relocations', () => {
    // A relocation costs more than a byte: a small section may have thousands at one place.
    const build = (relas: number): ObjectBuilder => {
      const builder = object()
        .file('x.c')
        .data('target', new Uint8Array(8 * KIB))
        .section('.rodata.few', { body: new Uint8Array(200) });
      for (let i = 0; i < 100; i++)
        builder.symbol(`o${i}`, { section: '.rodata.few', at: 0, size: 200 - i, type: STT_OBJECT });
      return builder.relas(
        '.rodata.few',
        ...Array.from({ length: relas }, () => ({ off: 0, type: R_X86_64_64, sym: 'target' })),
      );
    };
    expect(() => scan(build(0))).not.toThrow();
    expect(() => scan(build(2000))).toThrow(expect.objectContaining({ code: 'malformed-elf' }));
  });

  test('are no overlap where they are names of one body, or where a section has no bytes', () => {
    const builder = object()
      .file('x.c')
      .rodata('first', new Uint8Array(256 * KIB))
      .section('.bss.all', { body: new Uint8Array(256 * KIB) });
    for (let i = 0; i < 100; i++)
      builder
        .alias(`name${i}`, 'first')
        .symbol(`b${i}`, { section: '.bss.all', at: 0, size: 256 * KIB - i, type: STT_OBJECT });
    expect(() => scan(builder)).not.toThrow();
  });
});

describe('the smallest symbol around a place', () => {
  /** As coverAt says it, by asking every symbol. */
  const smallest = (spans: ReadonlyArray<readonly [at: number, size: number]>, offset: number): number =>
    Math.min(...spans.filter(([at, size]) => at <= offset && offset < at + size).map(([, size]) => size), Infinity);

  test('is found however they nest and cross', () => {
    // The search goes back from symbol to symbol around it: one step too far and code belongs to a larger, wrong function.
    let state = 1;
    const below = (limit: number): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % limit;
    let covered = 0;
    for (let round = 0; round < 60; round++) {
      const spans = Array.from({ length: 1 + below(25) }, () => {
        const at = below(60);
        return [at, 1 + below(64 - at)] as const;
      });
      const builder = object()
        .file('x.c')
        .section('.rodata.all', { body: new Uint8Array(64) });
      spans.forEach(([at, size], i) => builder.symbol(`o${i}`, { section: '.rodata.all', at, size, type: STT_OBJECT }));
      const elf = opened(builder);
      const table = readTable(elf);
      const identity = Identity.of(elf, table);
      const section = table.section[2]!;
      for (let offset = 0; offset < 64; offset++) {
        const found = identity.coverAt(section, offset);
        if (found !== 0) covered++;
        expect(found === 0 ? Infinity : table.size[found], `round ${round}, offset ${offset}`).toBe(
          smallest(spans, offset),
        );
      }
    }
    expect(covered).toBeGreaterThan(1000);
  });
});
