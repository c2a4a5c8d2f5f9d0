import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ElfObject } from '../../src/elf';
import { dwarfStructSizes } from '../../src/kernel/dwarf';
import { skipWithout } from '../support/corpus';
import { noCompiler } from '../support/kpatch-sources';
import { mutate } from '../support/mutate';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const SOURCE = `
struct jump_entry { long a, b, c; };
struct bug_entry { int a, b; short c, d; };
struct outer { struct alt_instr { char bytes[13]; } inner; int n; };
struct jump_entry j; struct bug_entry b; struct outer o;
int f(struct paravirt_patch_site *incomplete) { return j.a + b.c + o.n; }
`;
const NAMES = ['jump_entry', 'bug_entry', 'alt_instr', 'paravirt_patch_site', 'orc_entry'];

describe("struct sizes from an object's own debug information", () => {
  const missing = noCompiler();
  beforeAll(() => {
    if (missing === undefined) writeFileSync(join(folder, 'a.c'), SOURCE);
  });
  beforeEach((context) => skipWithout(context, missing));
  const compile = (version: number): string => {
    const path = join(folder, `dwarf${version}.o`);
    execFileSync('gcc', ['-O2', '-g', `-gdwarf-${version}`, '-gz=none', '-c', join(folder, 'a.c'), '-o', path]);
    return path;
  };

  // Guards against entries that are cut in the wrong place where nothing but the object tells their size.
  test.each([3, 4, 5])('DWARF %d: structs that are complete', (version) => {
    expect(dwarfStructSizes(ElfObject.open(compile(version)), NAMES)).toEqual({
      jump_entry: 24,
      bug_entry: 12,
      alt_instr: 13,
    });
  });

  // Guards against a unit that the linker put behind others: offsets into shared tables are not its own any more.
  test('units that were joined', () => {
    const [first, joined] = [join(folder, 'first.o'), join(folder, 'joined.o')];
    writeFileSync(join(folder, 'first.c'), 'struct orc_entry { short a, b, c; } x; int g(void) { return x.a; }');
    execFileSync('gcc', ['-O2', '-g', '-gz=none', '-c', join(folder, 'first.c'), '-o', first]);
    execFileSync('ld', ['-r', '-o', joined, first, compile(5)]);
    expect(dwarfStructSizes(ElfObject.open(joined), NAMES)).toEqual({
      orc_entry: 6,
      jump_entry: 24,
      bug_entry: 12,
      alt_instr: 13,
    });
  });

  // Guards against damaged debug information that is followed out of its section, or for ever.
  test('damage ends the search', () => {
    const whole = readFileSync(compile(5));
    const path = join(folder, 'damaged.o');
    let read = 0;
    for (let seed = 0; seed < 200; seed++) {
      writeFileSync(path, mutate(whole, seed).bytes);
      let object: ElfObject;
      try {
        object = ElfObject.open(path);
      } catch {
        continue;
      }
      try {
        dwarfStructSizes(object, NAMES);
      } catch (thrown) {
        expect(thrown).toMatchObject({ diagnostic: { code: 'malformed-elf' } });
      }
      read++;
    }
    expect(read).toBeGreaterThan(20);
  });
});
