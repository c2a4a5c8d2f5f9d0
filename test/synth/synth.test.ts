import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { writePair, type Changes, type Manifest } from '../../src/synth';
import { functionContents } from '../support/function-contents';
import { readelf, readelfComplaints } from '../support/readelf';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const CHANGES: Changes = {
  immediates: 4,
  callTargets: 3,
  strings: 3,
  instructions: 3,
  staticLocals: 6,
  newFunctions: 3,
  removedFunctions: 2,
  data: 1,
  initFunctions: 2,
};

async function pair(
  name: string,
  functions: number,
  seed: number,
  changes: Changes,
): Promise<{ orig: string; patched: string; manifest: Manifest }> {
  const [orig, patched] = [join(folder, `${name}-orig.o`), join(folder, `${name}-patched.o`)];
  return {
    orig,
    patched,
    manifest: await writePair({ functions, seed, changes }, orig, patched, join(folder, `${name}.json`)),
  };
}

/** Names of all symbols of a type, with ThinLTO's suffixes. */
function names(path: string, type: string): string[] {
  return readelf(path, '-sW')
    .map((line) => line.split(/\s+/))
    .filter((row) => row[3] === type)
    .map((row) => row[7] ?? '');
}

/** Key in `functionContents` of a manifest's entry, without the FILE's number. */
function keyOf({ name }: { name: string }): string {
  return name.replace(/\.llvm\.\d+$/, '');
}

describe('a synthetic pair', () => {
  let made: Awaited<ReturnType<typeof pair>>;
  beforeAll(async () => {
    made = await pair('small', 1000, 7, CHANGES);
  });

  it('is well formed, and its code disassembles', () => {
    for (const path of [made.orig, made.patched]) {
      expect(readelfComplaints(path)).toBe('');
      const listing = execFileSync('objdump', ['-d', '--no-show-raw-insn', path], {
        encoding: 'utf8',
        maxBuffer: 1 << 28,
      });
      expect(listing).not.toContain('(bad)');
      expect(listing).toContain('jmp');
    }
  });

  it('differs in exactly the functions that the manifest lists', () => {
    const [orig, patched] = [functionContents(made.orig), functionContents(made.patched)];
    const name = (key: string): string => key.replace(/^\S+ /, '').replace(/~\d+$/, '');
    const changed = [...orig]
      .filter(([key, content]) => patched.has(key) && patched.get(key) !== content)
      .map(([key]) => name(key));
    const added = [...patched.keys()].filter((key) => !orig.has(key)).map(name);
    const removed = [...orig.keys()].filter((key) => !patched.has(key)).map(name);
    const { functions } = made.manifest;
    expect(changed.sort()).toEqual(functions.changed.map(keyOf).sort());
    expect(added.sort()).toEqual(functions.new.map(keyOf).sort());
    expect(removed.sort()).toEqual(functions.removed.map(keyOf).sort());
    expect(functions.changed.length).toBe(4 + 3 + 3 + 3 + 6 + 3 + 2);
    expect(functions.new.length).toBe(3);
    expect(functions.removed.length).toBe(2);
    expect(functions.lineOnly.length).toBeGreaterThan(0);
    expect(made.manifest.data.changed.length).toBe(1);
    expect(JSON.parse(readFileSync(join(folder, 'small.json'), 'utf8'))).toEqual(made.manifest);
  });

  it('names units and static functions as kernels do: many times alike', () => {
    const files = names(made.orig, 'FILE');
    expect(files.filter((file) => file === 'core.c').length).toBeGreaterThan(2);
    expect(names(made.patched, 'FILE')).toEqual(files);
    const shown = readelf(made.orig, '-sW').filter((line) => / FUNC +LOCAL .* type_show$/.test(line));
    expect(shown.length).toBeGreaterThan(2);
  });

  it('moves what an edit moves: promoted names, static-local numbers, strings, lines', () => {
    const promoted = (path: string): Set<string> =>
      new Set(names(path, 'FUNC').filter((name) => name.includes('.llvm.')));
    const [before, after] = [promoted(made.orig), promoted(made.patched)];
    const gone = [...before].filter((name) => !after.has(name));
    expect(gone.length).toBeGreaterThan(0);
    expect(gone.length).toBeLessThan(before.size);
    for (const name of gone)
      expect([...after].some((other) => other.startsWith(`${name.split('.llvm.')[0]}.llvm.`))).toBe(true);
    const objects = (path: string): string[] =>
      names(path, 'OBJECT').filter((name) => /\.\d+$/.test(name) && !name.includes('.llvm.'));
    expect(objects(made.orig).filter((name) => !objects(made.patched).includes(name)).length).toBeGreaterThan(0);
    const strings = (path: string): string[] =>
      readelf(path, '-rW')
        .filter((line) => line.includes('.rodata.str1.1'))
        .map((line) => line.split(/\s+/).at(-1)!);
    expect(strings(made.orig)[0]).not.toBe(strings(made.patched)[0]);
  });

  it('has the tables of a 6.12 kernel', () => {
    const sections = readelf(made.orig, '-SW').join('\n');
    for (const name of [
      '.altinstructions',
      '.altinstr_replacement',
      '__bug_table',
      '__jump_table',
      '__ex_table',
      '.static_call_sites',
      '__mcount_loc',
      '.ibt_endbr_seal',
      '.return_sites',
      '.init.text',
      '.initcall6.init',
      'runtime_ptr_USER_PTR_MAX',
      '__patchable_function_entries',
    ]) {
      expect(sections).toContain(`] ${name} `);
    }
  });

  it('is the same for the same seed, and another for another', async () => {
    const again = await pair('again', 1000, 7, CHANGES);
    expect(readFileSync(again.orig).equals(readFileSync(made.orig))).toBe(true);
    expect(readFileSync(again.patched).equals(readFileSync(made.patched))).toBe(true);
    expect(again.manifest).toEqual(made.manifest);
    const other = await pair('other', 1000, 8, {});
    expect(readFileSync(other.orig).equals(readFileSync(made.orig))).toBe(false);
    expect(readFileSync(other.orig).equals(readFileSync(other.patched))).toBe(true);
  });

  it('says so when a kernel is too small for its changes', async () => {
    await expect(pair('tiny', 20, 1, { removedFunctions: 19 })).rejects.toThrow(/too few/);
    const one = await pair('one', 1, 1, {});
    expect(one.manifest.functions.total).toBe(1);
  });

  it('has more sections than 16 bits count from about 20,000 functions on', async () => {
    const large = await pair('large', 20_000, 1, { immediates: 1 });
    const sections = readelf(large.orig, '-hW').find((line) => line.startsWith('Number of section headers'));
    expect(Number(/\((\d+)\)/.exec(sections ?? '')?.[1])).toBeGreaterThan(0xff00);
    expect(readelfComplaints(large.orig, '-hSsgW')).toBe('');
  });
});
