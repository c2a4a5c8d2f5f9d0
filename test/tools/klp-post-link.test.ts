/**
 * `klpflow objtool klp post-link`. What this guards against: a module that loads and works until the place that kept its
 * ordinary relocation is written to, or whose relocations wait for another object than theirs.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ElfObject, SHT_NOBITS } from '../../src/elf';
import { writeKlpObject } from '../../src/livepatch/klp';
import { postLink as finish } from '../../src/tools/objtool/post-link';
import { CORPUS, skipWithout, unavailable } from '../support/corpus';
import { sample } from '../support/livepatch-sample';
import { objtoolKlp, skipWithoutObjtool } from '../support/objtool';
import { readelf, readelfComplaints } from '../support/readelf';
import { running, type Ran } from '../support/run-klpflow';
import { survive } from '../support/survive';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);
const postLink = (file: string): Promise<Ran> => running(['objtool', 'klp', 'post-link', file]);

function link(name: string, objects: readonly string[]): string {
  execFileSync('ld', ['-r', '-o', at(name), ...objects]);
  return at(name);
}

/** A linked module of one object for vmlinux and one for a module, both with klp relocations. */
async function linked(name: string): Promise<string> {
  const objects = await Promise.all(
    ['vmlinux', 'nf_tables'].map(async (object) => {
      const { object: livepatch } = sample(object);
      // Two objects of one livepatch may not both have a global foo.
      for (const symbol of livepatch.symbols)
        if (object !== 'vmlinux' && symbol.section !== 'undefined') symbol.info &= 0xf;
      await writeKlpObject(livepatch).write(at(`${object}.o`));
      return at(`${object}.o`);
    }),
  );
  return link(name, objects);
}

/** Everything that readelf says of a file's sections and symbols, without file offsets and positions of names. */
function contents(path: string): Record<string, unknown> {
  const elf = ElfObject.open(path);
  const sections = Array.from({ length: elf.sectionCount - 1 }, (_, i) => i + 1).filter(
    (i) => !/^\.(shstrtab|strtab|symtab)$/.test(elf.name(i)),
  );
  return Object.fromEntries([
    ...sections.map((i) => [
      `${i} ${elf.name(i)}`,
      {
        type: elf.type(i),
        flags: elf.sectionFlags(i),
        size: elf.size(i),
        link: elf.name(elf.link(i)),
        info: elf.info(i),
        align: elf.align(i),
        entsize: elf.entsize(i),
        bytes: elf.type(i) === SHT_NOBITS ? '' : Buffer.from(elf.content(i)).toString('hex'),
      },
    ]),
    ['symbols', readelf(path, '-sW')],
  ]);
}

describe('a module with klp relocations', () => {
  test('gets a relocation section an object and section, and its symbols are given to the livepatch core', async () => {
    const module = await linked('two.ko');
    expect(await postLink(module)).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(readelfComplaints(module).replaceAll(/^.*unable to.*SHN_LOPROC.*$/gm, '')).toBe('');
    const elf = ElfObject.open(module);
    const made = Array.from({ length: elf.sectionCount }, (_, i) => i).filter((i) =>
      elf.name(i).startsWith('.klp.rela'),
    );
    expect(made.map((i) => [elf.name(i), elf.name(elf.info(i)), elf.relas(i).length / 6]).sort()).toEqual([
      ['.klp.rela.nf_tables..text.foo', '.text.foo', 1],
      ['.klp.rela.vmlinux..text.foo', '.text.foo', 7],
    ]);
    const symbols = readelf(module, '-sW').filter((line) => /\.klp\.(sym|tombstone)\./.test(line));
    expect(symbols).toHaveLength(6);
    for (const symbol of symbols) expect(symbol).toMatch(/WEAK +DEFAULT +OS \[0xff20\]/);
    const held = readelf(module, '-rW').filter((line) => line.includes('.klp.tombstone.'));
    expect(held).toHaveLength(8);
    for (const line of held) expect(line).toContain('R_X86_64_NONE');
  });

  test('is replaced in one step, keeps its mode, and nothing else is left behind', async () => {
    const module = await linked('mode.ko');
    chmodSync(module, 0o640);
    const before = readdirSync(folder);
    expect((await postLink(module)).status).toBe(0);
    expect(statSync(module).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder)).toEqual(before);
  });

  test('is not finished twice: the second run says so and leaves it as it is', async () => {
    const module = await linked('again.ko');
    await postLink(module);
    const once = readFileSync(module);
    const again = await postLink(module);
    expect(again).toMatchObject({
      status: 255,
      stderr: expect.stringMatching(/again\.ko: error: objtool: .*has its klp relocation already/),
    });
    expect(readFileSync(module).equals(once)).toBe(true);
  });

  test('that is damaged is left as it is', async () => {
    const module = await linked('damaged.ko');
    const bytes = readFileSync(module);
    const elf = ElfObject.open(module);
    const relocs = Array.from({ length: elf.sectionCount }, (_, i) => i).find(
      (i) => elf.name(i) === '.rela__klp_relocs.vmlinux',
    )!;
    bytes.writeBigUInt64LE(1n << 40n, elf.offset(relocs) + 16);
    writeFileSync(module, bytes);
    expect(await postLink(module)).toMatchObject({
      status: 255,
      stderr: expect.stringMatching(/error: objtool: .*lies outside \.text\.foo/),
    });
    expect(readFileSync(module).equals(bytes)).toBe(true);
  });
});

test('a damaged module ends in an error that says where, or in a module; never in a crash', async () => {
  const whole = readFileSync(await linked('whole.ko'));
  const { results, errors } = survive(whole, 1000, (object) => void finish(object));
  expect(results).toBeGreaterThan(200);
  expect(errors).toBeGreaterThan(200);
});

test('a module without klp relocations is left alone', async () => {
  const { object } = sample();
  object.klpRelas.length = 0;
  await writeKlpObject(object).write(at('none.o'));
  const before = readFileSync(at('none.o'));
  expect(await postLink(at('none.o'))).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(at('none.o')).equals(before)).toBe(true);
});

test.each([
  [[], 255],
  [['a.ko', 'b.ko'], 255],
  [['missing.ko'], 255],
])('arguments %j end with status %i, as they do with objtool', async (argv, status) => {
  expect((await running(['objtool', 'klp', 'post-link', ...argv], { cwd: folder })).status).toBe(status);
});

describe("objtool's own result", () => {
  const PAIRS = ['string-change', 'special-sections', 'new-function-static-local', 'runtime-constants'];

  // The last one links two objects into one module, as klp-build does.
  test.for([...PAIRS.map((pair) => [pair]), ['string-change', 'special-sections']])(
    'is the same, section by section: %s',
    async (pairs, context) => {
      skipWithoutObjtool(context);
      skipWithout(context, unavailable('linux-7.2-thinlto', false));
      const objects = pairs.map((pair) => join(CORPUS, 'linux-7.2-thinlto/pairs', pair, 'objtool.o'));
      const [ours, theirs] = [link('ours.ko', objects), at('theirs.ko')];
      copyFileSync(ours, theirs);
      expect(objtoolKlp(['post-link', theirs])).toMatchObject({ status: 0, stderr: '' });
      expect(await postLink(ours)).toMatchObject({ status: 0, stderr: '' });
      expect(contents(ours)).toEqual(contents(theirs));
      expect(Object.keys(contents(ours)).filter((name) => name.includes('.klp.rela')).length).toBeGreaterThan(0);
    },
  );
});
