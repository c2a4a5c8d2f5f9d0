/**
 * Functions in pieces, as Propeller's clusters (`-fbasic-block-sections=list=`, Clang 22) and profiles leave them: hot blocks in sections of one name,
 * `f.__part.N`, and `f.cold`. A piece that is left behind goes on in the middle of the old function.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { ElfObject } from '../../../src/elf';
import { COMPILERS, compiled } from '../../support/compiled';
import { BODY, body, call, movEax } from '../../support/diff-objects';
import { code, object, plt32, type ObjectBuilder } from '../../support/elf-builder';
import { extractObjects, type Extracted } from '../../support/extract-objects';
import { tempFolder } from '../../support/temp-folder';

const folder = tempFolder();
const CLANG = 'clang-22';
const EXPORTS = { exports: ['__fentry__', '__x86_return_thunk', '_printk'] };

beforeEach((context) => context.skip(!COMPILERS.includes(CLANG), `no ${CLANG} here`));

/** `drain` and its caller; numbers of the loop, which is hot, and of the way out, which never runs. */
interface Source {
  hot?: number | undefined;
  cold?: number | undefined;
}
const source = ({ hot = 1000, cold = 22 }: Source): string => `
extern int _printk(const char *, ...); extern void (*hook)(int); extern int table[];
__attribute__((noinline)) int drain(int n) {
  int sum = 0;
  if (n < 0) { _printk("bad %d\\n", n); hook(n); return -${cold}; }
  for (int i = 0; i < n; i++) { sum += table[i]; if (sum > ${hot}) { _printk("much %d\\n", sum); sum = 0; } }
  return sum;
}
int caller(int n) { return drain(n) + 1; }
int table[8]; void (*hook)(int);`;

/** Which blocks of `drain` lie together, in the words of Propeller's file; undefined: all of them. */
type Clusters = readonly string[] | undefined;
const WHOLE = undefined;
const COLD: Clusters = ['0 1 2 4 5 6 7'];
const PARTS: Clusters = ['0 1 2', '4 5 6 7'];

const built = new Map<string, Buffer>();

function build(from: Source, clusters: Clusters, ...flags: string[]): Buffer {
  const key = JSON.stringify([from, clusters, flags]);
  let found = built.get(key);
  if (found === undefined) built.set(key, (found = compiled(CLANG, source(from), ...listed(clusters), ...flags)));
  return found;
}

function listed(clusters: Clusters): string[] {
  if (clusters === undefined) return [];
  const list = join(folder, `${clusters.join('-').replaceAll(' ', '_')}.list`);
  writeFileSync(list, ['v1', 'f drain', ...clusters.map((blocks) => `c${blocks}`), ''].join('\n'));
  return [`-fbasic-block-sections=list=${list}`, '-fbasic-block-address-map'];
}

let serial = 0;

/** Content of the sections of a name, and symbols that are pieces. */
class Looked {
  private readonly elf: ElfObject;
  constructor(bytes: Buffer) {
    // Each in a file of its own: they are mapped.
    const path = join(folder, `looked-at-${serial++}.o`);
    writeFileSync(path, bytes);
    this.elf = ElfObject.open(path);
  }

  content(name: string): string {
    const { elf } = this;
    const numbers = Array.from({ length: elf.sectionCount }, (_, section) => section).filter(
      (section) => elf.name(section) === name,
    );
    return numbers.map((section) => Buffer.from(elf.content(section)).toString('hex')).join(' ');
  }

  get pieces(): string[] {
    const { elf } = this;
    return Array.from({ length: elf.symbolCount }, (_, symbol) => elf.symbolName(symbol))
      .filter((name) => /\.(cold|__part\.\d+)$/.test(name))
      .sort();
  }
}

const HOT_SECTION = '.text.hot.drain';
const COLD_SECTION = '.text.split.drain';

/** One livepatch of `drain` and of all its pieces in PATCHED, in which nothing refers to a piece of the running kernel. */
function expectWhole(orig: Buffer, patched: Buffer): Extracted {
  const made = extractObjects(orig, patched, EXPORTS);
  expect({ told: made.told, changed: made.diff.changed, added: made.diff.added, removed: made.diff.removed }).toEqual({
    told: [],
    changed: { drain: 'code' },
    added: [],
    removed: [],
  });
  expect(made.funcs).toEqual(['drain,0>drain']);
  const { pieces } = new Looked(patched);
  expect(made.defined.filter((name) => name.startsWith('drain'))).toEqual(['drain', ...pieces]);
  expect(made.klpSymbols.map(({ name }) => name).sort()).toEqual(['drain', 'hook', 'table']);
  const all = ['drain', ...pieces].flatMap((name) => made.relas(name)).join('\n');
  for (const piece of pieces) expect(all).toMatch(new RegExp(`^\\S+ PLT32 ${piece}[+-]`, 'm'));
  return made;
}

describe.each([
  ['a cold part', COLD, ['drain.cold']],
  ['clusters of blocks', PARTS, ['drain.__part.1', 'drain.cold']],
] as const)('%s', (_, clusters, pieces) => {
  const hot = (value?: number): Buffer => build({ hot: value }, clusters);
  const cold = (value?: number): Buffer => build({ cold: value }, clusters);

  test('is no change by itself, nor is where the compiler keeps its map of blocks', () => {
    const looked = new Looked(hot());
    expect({ pieces: looked.pieces, map: looked.content('.llvm_bb_addr_map') === '' }).toEqual({ pieces, map: false });
    const { diff } = extractObjects(hot(), hot(), EXPORTS);
    expect({ changed: diff.changed, told: diff.told }).toEqual({ changed: {}, told: [] });
  });

  test('goes with the function where only the hot part changed', () => {
    const [orig, patched] = [new Looked(hot()), new Looked(hot(1001))];
    expect(orig.content(COLD_SECTION)).toBe(patched.content(COLD_SECTION));
    expect(orig.content(HOT_SECTION)).not.toBe(patched.content(HOT_SECTION));
    expectWhole(hot(), hot(1001));
  });

  test('takes the function along where only the cold part changed', () => {
    const [orig, patched] = [new Looked(cold()), new Looked(cold(23))];
    expect(orig.content(HOT_SECTION)).toBe(patched.content(HOT_SECTION));
    expect(orig.content(COLD_SECTION)).not.toBe(patched.content(COLD_SECTION));
    expectWhole(cold(), cold(23));
  });

  test('that only one build has: the function as PATCHED has it', () => {
    expectWhole(build({}, WHOLE), build({ hot: 1001 }, clusters));
    expectWhole(build({}, clusters), build({ hot: 1001 }, WHOLE));
  });
});

test('other clusters of the same blocks: all pieces of PATCHED, none of ORIG', () => {
  expectWhole(build({}, COLD), build({ cold: 23 }, PARTS));
  expectWhole(build({}, PARTS), build({ cold: 23 }, COLD));
});

// A check of a type whose trap no table lists is an invalid instruction, not a report of a wrong type.
test('the traps of type checks in a cold part come along', () => {
  const kcfi = ['-fsanitize=kcfi', '-fpatchable-function-entry=11,11', '-mretpoline-external-thunk'];
  const made = extractObjects(build({}, COLD, ...kcfi), build({ cold: 23 }, COLD, ...kcfi), {
    exports: [...EXPORTS.exports, '__x86_indirect_thunk_r11'],
  });
  expect({ told: made.told, changed: made.diff.changed }).toEqual({ told: [], changed: { drain: 'code' } });
  expect(made.relas('.kcfi_traps')).toEqual([expect.stringMatching(/^\+0x0 PC32 drain\.cold\+\d+$/)]);
});

test.each(['.text.hot.f', '.text.unlikely.f', '.text.split.f', '.text.f_cold'])(
  'a cold part that moves to %s is no change, and goes along where its function changed',
  (section) => {
    const moved = (into: string, value = 1, cold = 2): ObjectBuilder =>
      object()
        .file('a.c')
        .func('f', body([0x0f, 0x8c, plt32('f.cold')], movEax(value)))
        .func('f.cold', code(movEax(cold), [0xe9, plt32('f', BODY + 6)]), { bind: 'local', section: into })
        .func('g', body(call('f')));
    for (const from of ['.text.unlikely.f', '.text.split.f']) {
      expect(extractObjects(moved(from), moved(section), EXPORTS).diff).toMatchObject({ changed: {}, told: [] });
      for (const changed of [moved(section, 7), moved(section, 1, 7)]) {
        const made = extractObjects(moved(from), changed, EXPORTS);
        expect({ told: made.told, changed: Object.keys(made.diff.changed), defined: made.defined }).toMatchObject({
          told: [],
          changed: ['f'],
          defined: expect.arrayContaining(['f', 'f.cold']),
        });
        expect(made.klpSymbols.map(({ name }) => name)).toEqual(['f']);
      }
    }
  },
);
