/**
 * A synthetic arm64 kernel is what compilers write for arm64: what is not would be graded as if it were, and klpflow's answers on it would say nothing about
 * kernels.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  ElfObject,
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHT_RELA,
  STT_FUNC,
  ST_INFO,
  ST_SIZE,
  ST_VALUE,
  SYM_WORDS,
  s64,
  u64,
} from '../../src/elf';
import { SHAPES, writePair } from '../../src/synth';
import { readelfComplaints } from '../support/readelf';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const NOP = 0xd503201f;
const ADRP = 275;
const ADD_LO12 = 277;
/** Bytes that a load or store is wide, by its relocation: the offset in the instruction counts in them. */
const WIDTHS: Readonly<Record<number, number>> = { 278: 1, 284: 2, 285: 4, 286: 8, 299: 16 };

interface Rela {
  section: number;
  offset: number;
  type: number;
  symbol: number;
  addend: number;
}

function relasOf(object: ElfObject): Rela[] {
  const all: Rela[] = [];
  for (let section = 1; section < object.sectionCount; section++) {
    if (object.type(section) !== SHT_RELA) continue;
    const words = object.relas(section);
    for (let at = 0; at < words.length; at += RELA_WORDS)
      all.push({
        section: object.info(section),
        offset: u64(words, at + R_OFFSET),
        type: words[at + R_TYPE]!,
        symbol: words[at + R_SYM]!,
        addend: s64(words, at + R_ADDEND),
      });
  }
  return all;
}

const wordAt = (object: ElfObject, section: number, offset: number): number => {
  const content = object.content(section);
  return new DataView(content.buffer, content.byteOffset).getUint32(offset, true);
};
const sectionOf = (object: ElfObject, symbol: number): number => object.symbols[symbol * SYM_WORDS + ST_INFO]! >>> 16;
const placeOf = (object: ElfObject, symbol: number): number => u64(object.symbols, symbol * SYM_WORDS + ST_VALUE);

describe.each([
  { placed: 'function sections', singleText: false },
  { placed: 'one .text', singleText: true },
])('an arm64 kernel with $placed', ({ singleText }) => {
  let object: ElfObject;
  let relas: Rela[];
  let path: string;
  beforeAll(async () => {
    path = join(folder, `${singleText}-orig.o`);
    const shape = SHAPES['linux-7.3-arm64']!;
    await writePair({ functions: 800, seed: 5, changes: {}, shape, singleText }, path, join(folder, 'patched.o'));
    object = ElfObject.open(path);
    relas = relasOf(object);
  });

  it('is an object for arm64, which readelf takes without a word', () => {
    expect(object.machine).toBe(183);
    expect(readelfComplaints(path, '-hSsrW')).toBe('');
  });

  it('makes addresses in two parts that mean the same place', () => {
    const byPlace = new Map(relas.map((rela) => [`${rela.section} ${rela.offset}`, rela]));
    const second = relas.filter(({ type }) => type === ADD_LO12 || type in WIDTHS);
    expect(second.length).toBeGreaterThan(500);
    const unpaired = second.filter(({ section, offset, symbol, addend }) => {
      const first = byPlace.get(`${section} ${offset - 4}`);
      return first?.type !== ADRP || first.symbol !== symbol || first.addend !== addend;
    });
    expect(unpaired).toEqual([]);
  });

  it('loads and stores at places that their width divides', () => {
    const scaled = relas.filter(({ type }) => (WIDTHS[type] ?? 0) > 1);
    expect(new Set(scaled.map(({ type }) => type)).size).toBeGreaterThan(1);
    const askew = scaled.filter(({ symbol, type, addend }) => {
      const target = sectionOf(object, symbol);
      // The linker script defines the only one that no section holds.
      if (target === 0) return object.symbolName(symbol) !== 'jiffies';
      return (placeOf(object, symbol) + addend) % WIDTHS[type]! !== 0 || object.align(target) < WIDTHS[type]!;
    });
    expect(askew).toEqual([]);
  });

  it('has two NOPs where a patchable entry points, and hashes that mapping symbols call data', () => {
    const entries = relas.filter(({ section }) => object.name(section) === '__patchable_function_entries');
    expect(entries.length).toBeGreaterThan(400);
    for (const { symbol, addend } of entries) {
      const [section, start] = [sectionOf(object, symbol), placeOf(object, symbol) + addend];
      expect([wordAt(object, section, start), wordAt(object, section, start + 4)]).toEqual([NOP, NOP]);
    }
    const marks = new Map<string, string>();
    const functions: Array<{ section: number; start: number; end: number }> = [];
    for (let symbol = 1; symbol < object.symbolCount; symbol++) {
      const [section, start] = [sectionOf(object, symbol), placeOf(object, symbol)];
      const name = object.symbolName(symbol);
      if (name === '$d' || name === '$x') marks.set(`${section} ${start}`, name);
      const size = u64(object.symbols, symbol * SYM_WORDS + ST_SIZE);
      if ((object.symbols[symbol * SYM_WORDS + ST_INFO]! & 0xf) === STT_FUNC && size > 20)
        functions.push({ section, start, end: start + size });
    }
    const hashed = functions.filter(({ section, start }) => marks.get(`${section} ${start - 4}`) === '$d');
    expect(hashed.length / functions.length).toBeGreaterThan(0.6);
    for (const { section, start } of hashed) expect(marks.get(`${section} ${start}`)).toBe('$x');
  });

  it('has what alternatives put in outside of functions, in the section of their site', () => {
    const functions = new Map<number, Array<[number, number]>>();
    for (let symbol = 1; symbol < object.symbolCount; symbol++) {
      if ((object.symbols[symbol * SYM_WORDS + ST_INFO]! & 0xf) !== STT_FUNC) continue;
      const section = sectionOf(object, symbol);
      const [start, size] = [placeOf(object, symbol), u64(object.symbols, symbol * SYM_WORDS + ST_SIZE)];
      functions.set(section, [...(functions.get(section) ?? []), [start, start + size]]);
    }
    const table = relas.filter(({ section }) => object.name(section) === '.altinstructions');
    const place = ({ symbol, addend }: Rela): [number, number] => [
      sectionOf(object, symbol),
      placeOf(object, symbol) + addend,
    ];
    let written = 0;
    for (let i = 0; i < table.length; i += 2) {
      const [site, replacement] = [place(table[i]!), place(table[i + 1]!)];
      const length = object.content(table[i]!.section)[table[i]!.offset + 11]!;
      const within = functions.get(replacement[0])!.some(([from, to]) => replacement[1] >= from && replacement[1] < to);
      // One of length 0 is a function that writes the instructions.
      expect(within).toBe(length === 0);
      if (length === 0) written++;
      else expect(replacement[0]).toBe(site[0]);
    }
    expect(table.length).toBeGreaterThan(1000);
    expect(written).toBeGreaterThan(50);
  });
});
