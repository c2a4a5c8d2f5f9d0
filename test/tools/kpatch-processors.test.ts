/**
 * The whole of kpatch's flow behind the compiler, on all five processors: create-diff-object, `ld -r`, create-klp-module. What the code
 * in the module refers to must be what the compiler said, whoever resolves it; fields are read in the processor's own byte order.
 */
import { beforeEach, expect, test } from 'vitest';
import { createKlpModule } from '../../src';
import { ElfObject } from '../../src/elf';
import { skipWithout } from '../support/corpus';
import { BY_CLANG, KEPT, compilePair, joinObjects, noDebugTools } from '../support/debug-units';
import { placesOf, references } from '../support/kpatch-references';
import { kpatchDiff } from '../support/kpatch-run';
import { readelf, readelfComplaints } from '../support/readelf';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const missing = noDebugTools();
beforeEach((context) => skipWithout(context, missing));

const UNITS = BY_CLANG.filter(([name]) => name.endsWith('DWARF 5'));
const CODE = KEPT.map((name) => `.text.${name}`);

test('all processors are there', () => {
  expect(UNITS.map(([name]) => name.split(',')[0])).toEqual(['aarch64', 'loongarch64', 'ppc64le', 's390x', 'x86_64']);
});

test.each(UNITS)('%s', async (name, compilation) => {
  const { orig, patched } = compilePair(folder, name.replace(/\W+/g, '-'), compilation);
  const [output, module] = [`${patched}.output.o`, `${patched}.ko`];
  const { exit } = await kpatchDiff(orig, patched, orig, output);
  expect(exit).toBe(0);
  await createKlpModule({
    input: joinObjects([output], compilation),
    output: module,
    archSections: false,
    environment: {},
  });
  expect(readelfComplaints(module)).toBe('');

  // A static function and a variable of the kernel are found by the livepatch core; the rest is the module's own, or an export.
  const [whole, part] = [ElfObject.open(patched), ElfObject.open(module)];
  const klp = readelf(module, '-sW').flatMap((line) => /OS \[0xff20\] (\S+)$/.exec(line)?.[1] ?? []);
  expect(klp.sort()).toEqual(['.klp.sym.vmlinux.helper,1', '.klp.sym.vmlinux.kept_table,0']);
  const expected = references(whole, CODE, placesOf(whole));
  for (const target of [
    '.text.helper+',
    '.data.kept_table+',
    '.data.fresh_count+',
    '.text.fresh+',
    'outside+',
    '"negative"',
  ])
    expect(
      expected.filter((line) => line.includes(` ${target}`)),
      target,
    ).not.toEqual([]);
  expect(references(part, CODE, placesOf(whole))).toEqual(expected);

  // struct kpatch_patch_func, in the order of the symbols: new size, old address, old size, position.
  const symbolOf = (path: string, symbol: string): { address: number; size: number } => {
    const [, value, size] = readelf(path, '-sW')
      .find((line) => line.endsWith(` ${symbol}`))!
      .split(/\s+/);
    return { address: parseInt(value!, 16), size: Number(size) };
  };
  const records = contentOf(part, '.kpatch.funcs');
  const field = (at: number): number => Number(part.little ? records.readBigUInt64LE(at) : records.readBigUInt64BE(at));
  expect(records.length).toBe(2 * 56);
  const found = [0, 56].map((at) => ({
    newSize: field(at + 8),
    oldAddress: field(at + 16),
    oldSize: field(at + 24),
    sympos: field(at + 32),
  }));
  const replaced = readelf(module, '-rW')
    .flatMap((line) => / (target|other_target) \+ 0$/.exec(line)?.[1] ?? [])
    .slice(0, 2);
  expect([...replaced].sort()).toEqual(['other_target', 'target']);
  expect(found).toEqual(
    replaced.map((symbol) => ({
      newSize: symbolOf(patched, symbol).size,
      oldAddress: symbolOf(orig, symbol).address,
      oldSize: symbolOf(orig, symbol).size,
      sympos: 0,
    })),
  );
});

function contentOf(elf: ElfObject, name: string): Buffer {
  const section = Array.from({ length: elf.sectionCount }, (_, i) => i).find((i) => i > 0 && elf.name(i) === name)!;
  return Buffer.from(elf.content(section));
}
