/**
 * Writable data that no symbol names: what GCC says of each checked array index (`.data..Lubsan_data167` of Debian's 7.3, where the verifier refused right modules). The
 * silent failures: another index, type or line that passes for it, because nothing there has a name that could differ.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test, type TestContext } from 'vitest';
import { ElfObject } from '../../src/elf';
import { MappedFile } from '../../src/files/mapped-file';
import { Module, type ModuleSection } from '../../src/verify/module';
import { sameAnonymous } from '../../src/verify/reference/anonymous';
import { ReferenceObject } from '../../src/verify/reference/object';
import { skipWithout } from '../support/corpus';
import { COMPILERS } from '../support/compiled';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);
const SOURCE = `
  static int table[8];
  static long other[5];
  int f(int i, int k) { return table[i] + other[k]; }
  void g(int i) { table[i] = i; }
  const char license[] __attribute__((used, section(".modinfo"))) = "license=GPL";`;
const LAYOUT = `SECTIONS {
  .text : { *(.text .text.*) }
  .rodata : { *(.rodata .rodata.*) }
  .data : { *(.data.first) *(.data..L* .data..L.*) *(.data.last) } }`;
const FLAGS = ['-O2', '-mcmodel=kernel', '-fno-pic', '-fno-pie', '-fsanitize=bounds', '-fdata-sections'];
const missing = COMPILERS.includes('gcc') ? undefined : 'there is no gcc for x86-64 here';

beforeAll(() => {
  if (missing !== undefined) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(at('unit.c'), SOURCE);
  writeFileSync(at('named.c'), 'int first = 3, last = 5;');
  writeFileSync(at('layout'), LAYOUT);
  for (const name of ['unit', 'named']) execFileSync('gcc', [...FLAGS, '-c', at(`${name}.c`), '-o', at(`${name}.o`)]);
  execFileSync('ld', ['-r', '-T', at('layout'), '-o', at('module.o'), at('named.o'), at('unit.o')]);
});

interface Reference {
  symbol: number;
  offset: number;
  section: ModuleSection;
  /** In the module. */
  at: number;
}

/** The unit, the module with a change, and all references of its code to data without a name. */
function read(change: (bytes: Buffer, module: Module) => void = () => undefined): {
  module: Module;
  object: ReferenceObject;
  references: Reference[];
} {
  const open = (bytes: Uint8Array): Module => new Module(new ElfObject(MappedFile.ofBytes(bytes, 'module.o')));
  const bytes = Buffer.from(MappedFile.open(at('module.o')).bytes);
  change(bytes, open(new Uint8Array(bytes)));
  const module = open(new Uint8Array(bytes));
  const object = new ReferenceObject(at('unit.o'), new Set(['.text']), '.text.');
  const [code] = object.sections('.text');
  const text = module.sections.find(({ name }) => name === '.text')!;
  const own = module.sections.find(({ name }) => name === '.data')!;
  const references = object
    .relas(code!, (_, symbol) => object.elf.name(object.sectionOf(symbol)).startsWith('.data..Lubsan_data'))
    .map(({ offset, symbol, addend }) => {
      const rela = module.relaAt(text, offset)!;
      return { symbol, offset: addend, section: own, at: rela.symbol.value + rela.addend };
    });
  return { module, object, references };
}

const same = (
  { module, object }: ReturnType<typeof read>,
  one: Pick<Reference, 'symbol' | 'offset'>,
  { section, at: offset }: Reference,
): boolean => sameAnonymous(module, { in: 'module', section, offset }, object, one);

const needed = (context: TestContext): void => skipWithout(context, missing);

test('each is itself, and none is another', (context) => {
  needed(context);
  const found = read();
  // The premise: three checks, none of which has a symbol, behind a named variable of the same section.
  expect(found.references).toHaveLength(3);
  for (const one of found.references)
    for (const other of found.references) expect(same(found, one, other)).toBe(one === other);
});

test('one line, or one type, that is another is seen', (context) => {
  needed(context);
  const whole = read();
  const place = whole.references[0]!;
  const line = read((bytes, module) => {
    const { elf } = module;
    const { index } = place.section;
    bytes[elf.offset(index) + place.at + 8]! ^= 1;
  });
  expect(same(line, line.references[0]!, line.references[0]!)).toBe(false);
  expect(same(line, line.references[1]!, line.references[1]!)).toBe(true);
  // A name there: then it is somebody's variable.
  const named = { ...place, at: 0 };
  expect(same(whole, place, named)).toBe(false);
});
