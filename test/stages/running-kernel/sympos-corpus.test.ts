/**
 * Positions in two real kernels. Linux 7.2 has `.klp.symid`, so that there every weaker evidence can be held against the truth;
 * Debian's 6.12 is the ordinary case, a list of names of a kernel that was built without -ffunction-sections.
 */
import { execFileSync } from 'node:child_process';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ElfObject } from '../../../src/elf';
import { KernelListing } from '../../../src/kernel/listing';
import { Side } from '../../../src/stages/side/side';
import { Trait, readTable } from '../../../src/stages/scan';
import { checkRunningKernel } from '../../../src/stages/running-kernel';
import { SymbolPositions } from '../../../src/stages/running-kernel/sympos';
import { kernelFiles, pairsOf, skipWithout, unavailable, unpack, type Kernel } from '../../support/corpus';

interface Known {
  side: Side;
  listing: KernelListing;
}

function opened(kernel: Kernel): Known {
  const { orig } = unpack(kernel, pairsOf(kernel)[0]!);
  const object = ElfObject.open(orig);
  return { side: new Side(object, readTable(object)), listing: KernelListing.open(kernelFiles(kernel).vmlinux) };
}

/** Functions and objects of ORIG whose name it has twice. */
function duplicated({ side }: Known, positions: SymbolPositions): number[] {
  const { table } = side;
  return Array.from({ length: table.symbols }, (_, i) => i).filter(
    (symbol) => table.has(symbol, Trait.FUNC | Trait.OBJECT) && positions.candidates(symbol).namesakes.length > 1,
  );
}

describe('Linux 7.2', () => {
  const missing = unavailable('linux-7.2-thinlto', true);
  beforeEach((context) => skipWithout(context, missing));
  let known: Known;
  let positions: SymbolPositions;
  let truth: Map<number, string>;

  beforeAll(() => {
    if (missing !== undefined) return;
    known = opened('linux-7.2-thinlto');
    positions = new SymbolPositions(known.side, 'vmlinux', known.listing);
    const symids = positions.evidence[0]!;
    truth = new Map();
    for (const symbol of duplicated(known, positions)) {
      const { namesakes, entries } = positions.candidates(symbol);
      const entry = symids.entryOf(symbol, namesakes, entries);
      if (typeof entry === 'number') truth.set(symbol, known.listing.address(entry));
    }
  });

  /** How many of the symbols that symids decide another evidence puts at the same place, and those it puts elsewhere. */
  const compared = (which: SymbolPositions, kind: string): { right: number; wrong: string[]; unknown: number } => {
    const evidence = which.evidence.find(({ text }) => text.includes(kind))!;
    const listing = kind === 'FILE' || which === positions ? known.listing : names;
    const result = { right: 0, wrong: [] as string[], unknown: 0 };
    for (const [symbol, address] of truth) {
      const { namesakes, entries } = which.candidates(symbol);
      const entry = evidence.entryOf(symbol, namesakes, entries);
      if (typeof entry !== 'number') result.unknown++;
      else if (listing.address(entry) === address) result.right++;
      else result.wrong.push(known.side.name(symbol));
    }
    return result;
  };
  let names: KernelListing;

  test('symids decide 2,500 symbols', () => {
    expect(positions.evidence.map(({ text }) => text)).toEqual([
      '.klp.symid',
      'order of FILE symbols',
      'order among uniquely named neighbours',
    ]);
    expect(truth.size).toBe(2500);
  });

  test('the order of FILE symbols is never wrong', () => {
    // One empty lock key has no size of its own to be told by.
    expect(compared(positions, 'FILE')).toEqual({ right: 2499, wrong: [], unknown: 1 });
  });

  test('neighbours are never wrong, with sizes and without', () => {
    const image = compared(positions, 'neighbours');
    expect(image.wrong).toEqual([]);
    expect(image.right).toBeGreaterThan(2400);
    const text = execFileSync('nm', ['-n', kernelFiles('linux-7.2-thinlto').vmlinux], { maxBuffer: 1 << 28 });
    names = KernelListing.parse(new Uint8Array(text), 'nm');
    expect(names.count).toBe(known.listing.count);
    const alone = compared(new SymbolPositions(known.side, 'vmlinux', names), 'neighbours');
    expect(alone.wrong).toEqual([]);
    expect(alone.right).toBeGreaterThan(2480);
  });

  test('its readelf listing has the symbols that the image has', () => {
    const text = execFileSync('readelf', ['-sW', kernelFiles('linux-7.2-thinlto').vmlinux], { maxBuffer: 1 << 28 });
    const listing = KernelListing.parse(new Uint8Array(text), 'readelf');
    expect(listing.kind).toBe('readelf');
    expect(listing.count).toBe(known.listing.count);
    for (const name of ['vfs_read', 'type_show'])
      expect(listing.find(name).map((entry) => listing.address(entry))).toEqual(
        known.listing.find(name).map((entry) => known.listing.address(entry)),
      );
    expect(listing.find('type_show')).toHaveLength(17);
  });

  test("ORIG is the image: the code of every tenth function, and all objects' sizes", () => {
    const { table } = known.side;
    const all = Array.from({ length: table.symbols }, (_, i) => i);
    const functions = all.filter(
      (symbol, i) => i % 10 === 0 && table.has(symbol, Trait.FUNC) && table.size[symbol]! > 0,
    );
    const references = all.filter((symbol) => table.has(symbol, Trait.OBJECT));
    expect(functions.length).toBeGreaterThan(9000);
    expect(checkRunningKernel({ orig: known.side, positions, listing: known.listing, functions, references })).toEqual(
      [],
    );
  });
});

describe('Debian 6.12', () => {
  const missing = unavailable('debian-6.12-gcc', true);
  beforeEach((context) => skipWithout(context, missing));
  let known: Known;
  let positions: SymbolPositions;

  beforeAll(() => {
    if (missing !== undefined) return;
    known = opened('debian-6.12-gcc');
    positions = new SymbolPositions(known.side, 'vmlinux', known.listing);
  });

  test('names of several symbols get each of their positions once', () => {
    const given = new Map<string, number[]>();
    let refused = 0;
    for (const symbol of duplicated(known, positions)) {
      const position = positions.positionOf(symbol);
      if ('refused' in position) refused++;
      else given.set(position.name, [...(given.get(position.name) ?? []), position.sympos]);
    }
    const counts = [...given.values()];
    expect(counts.flat().length).toBeGreaterThan(6000);
    expect(refused).toBeLessThan(2000);
    expect(counts.filter((list) => new Set(list).size !== list.length || Math.min(...list) < 1)).toEqual([]);
    // One whose 13 units stand far from each other, while ORIG has them in one section.
    expect(given.get('type_show')!.sort((a, b) => a - b)).toEqual(Array.from({ length: 13 }, (_, i) => i + 1));
  });

  test('per-CPU variables have the addresses that they are linked at, from 0', () => {
    const { side, listing } = known;
    const symbol = Array.from({ length: side.table.symbols }, (_, i) => i).find(
      (i) => i > 0 && side.name(i) === 'cpu_debug_store',
    )!;
    expect(side.sectionName(symbol)).toMatch(/^\.data\.\.percpu/);
    const position = positions.positionOf(symbol);
    expect(position).toMatchObject({ sympos: 0 });
    expect(listing.address((position as { entry: number }).entry)).toBe('0000000000001000');
  });

  test('all functions of ORIG are in the kernel; those of another kernel are not', (context) => {
    const input = { functions: [], references: [] };
    expect(checkRunningKernel({ ...input, orig: known.side, positions, listing: known.listing })).toEqual([]);
    skipWithout(context, unavailable('linux-7.2-thinlto', true));
    const other = opened('linux-7.2-thinlto').side;
    const found = checkRunningKernel({
      ...input,
      orig: other,
      positions: new SymbolPositions(other, 'vmlinux', known.listing),
      listing: known.listing,
    });
    expect(found.map(({ code, severity }) => `${code} ${severity}`)).toEqual(['orig-not-running-kernel refusal']);
    expect(found[0]!.message).toMatch(/lacks \d{4,} of ORIG's \d+ functions/);
  });
});
