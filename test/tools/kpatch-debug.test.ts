/**
 * Debug information in objects of `create-diff-object`, of all five processors: that of included functions is as good as PATCHED's, to
 * the column, and nothing in it points at functions that stayed behind. Read by LLVM, which wrote it.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { createKlpModule } from '../../src';
import { ElfObject } from '../../src/elf';
import { skipWithout } from '../support/corpus';
import {
  BY_CLANG,
  BY_GCC,
  DROPPED,
  DROPPED_STRINGS,
  GCC,
  KEPT,
  KEPT_STRINGS,
  compilePair,
  debugEntries,
  debugRelas,
  frameLengths,
  isDebug,
  joinObjects,
  linkImage,
  noDebugTools,
  sourceLines,
  type Compilation,
} from '../support/debug-units';
import { kpatchDiff } from '../support/kpatch-run';
import { noCompiler } from '../support/kpatch-sources';
import { ModuleBytes } from '../support/module-bytes';
import { readelf, readelfComplaints } from '../support/readelf';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

async function checkPair(name: string, compilation: Compilation): Promise<void> {
  const { orig, patched } = compilePair(folder, name, compilation);
  const [output, module] = [join(folder, `${name}.o`), join(folder, `${name}.ko`)];
  const { exit, lines } = await kpatchDiff(orig, patched, orig, output);
  expect({ exit, lines: lines.sort() }).toEqual({
    exit: 0,
    lines: ['changed function: other_target', 'changed function: target', 'new function: fresh'],
  });
  const joined = joinObjects([output], compilation);
  await createKlpModule({ input: joined, output: module, archSections: false, environment: {} });

  // Premise: there is something to leave out, before, between and behind what is kept.
  const all = debugRelas(ElfObject.open(patched));
  const targets = new Set(all.map(({ target }) => target));
  expect(
    [...DROPPED.map((name) => `.text.${name}`), ...DROPPED_STRINGS, ...KEPT_STRINGS].filter(
      (target) => !targets.has(target),
    ),
  ).toEqual([]);

  // Each relocation that names something in the output is there and names the same place of it; there is no other.
  const copied = new Set(sectionsOf(output));
  expect(DROPPED.filter((dropped) => copied.has(`.text.${dropped}`))).toEqual([]);
  const expected = all
    .filter(
      ({ target }) => isDebug(target) || copied.has(target) || (KEPT_STRINGS as readonly string[]).includes(target),
    )
    .map(({ text }) => text)
    .sort();
  expect(expected.filter((text) => text.includes('.text.')).length).toBeGreaterThan(10);
  expect(
    debugRelas(ElfObject.open(output))
      .map(({ text }) => text)
      .sort(),
  ).toEqual(expected);
  expect(debugRelas(ElfObject.open(module))).toEqual(debugRelas(ElfObject.open(joined)));
  expect([output, module].map((file) => readelfComplaints(file))).toEqual(['', '']);

  // Unwind tables cover what was copied, and nothing else.
  if (sectionsOf(patched).includes('.eh_frame')) {
    expect(frameLengths(patched).length).toBe(KEPT.length + DROPPED.length);
    for (const file of [output, module])
      expect(frameLengths(file)).toEqual(KEPT.map((kept) => sizeOf(patched, kept)).sort((a, b) => a - b));
  }

  // Linked to addresses, each instruction is that of the same line, and each entry and macro can be read.
  const [whole, ...parts] = [patched, output, joined].map(linkImage) as [string, ...string[]];
  const known = sourceLines(whole, KEPT);
  for (const kept of KEPT)
    expect(known[kept]!.filter((line) => new RegExp(`\\b${kept} .*unit\\.c:\\d`).test(line)).length, kept).toBe(
      known[kept]!.length,
    );
  expect(known['target']!.length).toBeGreaterThan(50);
  for (const part of parts) expect(sourceLines(part, KEPT)).toEqual(known);
  for (const part of parts) expect(debugEntries(part)).toEqual(debugEntries(whole));
}

function sizeOf(path: string, symbol: string): number {
  return Number(
    readelf(path, '-sW')
      .find((line) => line.endsWith(` ${symbol}`))!
      .split(/\s+/)[2],
  );
}

function sectionsOf(path: string): string[] {
  return readelf(path, '-SW').flatMap((line) => /^\[\s*\d+\] (\S+)/.exec(line)?.[1] ?? []);
}

describe('all processors', () => {
  const missing = noDebugTools();
  beforeEach((context) => skipWithout(context, missing));

  // Guards against a relocation number or byte order of another processor, and against lists of addresses that end where a function was left out.
  test.each(BY_CLANG)('%s', (name, compilation) => checkPair(name.replace(/\W+/g, '-'), compilation));
});

describe('sections of one name, compressed sections', () => {
  const missing = noDebugTools() ?? noCompiler();
  beforeEach((context) => skipWithout(context, missing));

  // Guards against relocations of one section that are applied to another of its name, and compressed bytes that are taken for plain ones.
  test.each(BY_GCC)('%s', (name, compilation) => checkPair(name.replace(/\W+/g, '-'), compilation));
});

describe('damaged debug information', () => {
  const missing = noCompiler();
  beforeEach((context) => skipWithout(context, missing));

  // Guards against numbers that no file can hold, and sections that no linker takes. At 8 a unit of DWARF 5 says where its abbreviations are.
  test.each<[string, (file: ModuleBytes) => void]>([
    ['an alignment of 3', (file) => file.bytes.writeBigUInt64LE(3n, file.header('.debug_info') + 48)],
    [
      'a relocation of what is behind the section',
      (file) => file.bytes.writeBigUInt64LE(1n << 60n, file.rela('.debug_info', 8)),
    ],
    ['a reference behind a section', (file) => file.bytes.writeBigInt64LE(1n << 40n, file.rela('.debug_info', 8) + 16)],
    ['a reference before a section', (file) => file.bytes.writeBigInt64LE(-1n, file.rela('.debug_info', 8) + 16)],
  ])('%s is refused', async (_, spoil) => {
    const { orig, patched } = compilePair(folder, 'damaged', {
      compiler: 'gcc',
      flags: [...GCC, '-g'],
      linker: undefined,
    });
    const file = new ModuleBytes(patched);
    spoil(file);
    writeFileSync(patched, file.bytes);
    await expect(kpatchDiff(orig, patched, orig, join(folder, 'never.o'))).rejects.toMatchObject({
      diagnostic: { code: 'malformed-elf' },
    });
    expect(existsSync(join(folder, 'never.o'))).toBe(false);
  });
});
