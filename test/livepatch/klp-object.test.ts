/**
 * Livepatch objects in the form that `objtool klp diff` writes. What this guards against: an object that klp-build links
 * without a word, but whose klp relocations, functions or positions are others than those that were decided.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { diagnosticOf } from '../../src/diagnostics';
import { ElfObject, SHF_ALLOC, SHT_PROGBITS } from '../../src/elf';
import { readKlpObject, writeKlpObject } from '../../src/livepatch/klp';
import { LivepatchObject } from '../../src/livepatch/object';
import { CORPUS, pairsOf, skipWithout, unavailable } from '../support/corpus';
import { FACTS, plain, sample } from '../support/livepatch-sample';
import { mutate } from '../support/mutate';
import { readelf, readelfComplaints } from '../support/readelf';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

async function written(object: LivepatchObject, name: string): Promise<string> {
  const path = join(folder, name);
  await writeKlpObject(object).write(path);
  return path;
}

/** `readelf -S` lines as section name to `type, entry size, flags, alignment`. */
function attributes(path: string): Map<string, string> {
  const lines = readelf(path, '-SW')
    .map((line) =>
      /^\[ *\d+\] (\S+) +(\S+) +[0-9a-f]{16} [0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) +([A-Z]*) +\d+ +\d+ +(\d+)$/.exec(line),
    )
    .filter((match) => match !== null);
  return new Map(lines.map(([, name, type, entsize, flags, align]) => [name!, `${type} ${entsize} ${flags} ${align}`]));
}

/** `readelf -r` lines of one section, without the symbol's number: offset, type, value, symbol, addend. */
function relocations(path: string, section: string): string[] {
  const lines = readelf(path, '-rW');
  const start = lines.findIndex((line) => line.startsWith(`Relocation section '.rela${section}' `));
  const end = lines.findIndex((line, at) => at > start && line.startsWith('Relocation section'));
  return lines
    .slice(start + 2, end < 0 ? undefined : end)
    .map((line) => line.split(/\s+/))
    .map(([offset, , type, , ...target]) => [offset!.replace(/^0+(?=.)/, ''), type, ...target].join(' '));
}

describe('the object that is written', () => {
  test('readelf takes it without a word, and what was written is what is read', async () => {
    for (const name of ['vmlinux', 'nf_tables']) {
      const { object } = sample(name);
      const path = await written(object, `${name}.o`);
      expect(readelfComplaints(path)).toBe('');
      expect(plain(readKlpObject(ElfObject.open(path)))).toEqual(plain(object));
    }
  });

  test('a klp relocation leaves a tombstone at its place and a record of place, symbol and type', async () => {
    const path = await written(sample().object, 'klp.o');
    expect(relocations(path, '.text.foo').slice(-4)).toEqual([
      '30 R_X86_64_PLT32 .klp.tombstone.helper - 4',
      '38 R_X86_64_PLT32 .klp.tombstone.helper - 4',
      '40 R_X86_64_PLT32 .klp.tombstone.helper - 4',
      '48 R_X86_64_32S .klp.tombstone.counter.3 + 8',
    ]);
    expect(relocations(path, '__klp_relocs.vmlinux')).toEqual([
      '0 R_X86_64_64 .text.foo + 30',
      '8 R_X86_64_64 .klp.sym.vmlinux.helper,1 - 4',
      '18 R_X86_64_64 .text.foo + 38',
      '20 R_X86_64_64 .klp.sym.vmlinux.helper,2 - 4',
      '30 R_X86_64_64 .text.foo + 40',
      '38 R_X86_64_64 .klp.sym.vmlinux.helper,1 - 4',
      '48 R_X86_64_64 .text.foo + 48',
      '50 R_X86_64_64 .klp.sym.vmlinux.counter.7,0 + 8',
    ]);
    const types = readelf(path, '-x', '__klp_relocs.vmlinux')
      .filter((line) => line.startsWith('0x'))
      .join(' ')
      .match(/\b[0-9a-f]{8}\b/g)!;
    expect(types.filter((word) => word !== '00000000')).toEqual(['04000000', '04000000', '04000000', '0b000000']);
    const symbols = readelf(path, '-sW')
      .map((line) => line.split(/\s+/))
      .filter(([, , , , , , , name]) => name?.startsWith('.klp.'));
    expect(
      symbols.map(([, , , type, binding, , section, name]) => [name, type, binding, section].join(' ')).sort(),
    ).toEqual([
      '.klp.sym.vmlinux.counter.7,0 OBJECT WEAK UND',
      '.klp.sym.vmlinux.helper,1 FUNC WEAK UND',
      '.klp.sym.vmlinux.helper,2 FUNC WEAK UND',
      '.klp.tombstone.counter.3 OBJECT WEAK UND',
      '.klp.tombstone.helper FUNC WEAK UND',
    ]);
  });

  test('a module is named, vmlinux is not; what belongs to the module stands apart from what belongs to vmlinux', async () => {
    const module = await written(sample('nf_tables').object, 'module.o');
    const vmlinux = await written(sample().object, 'vmlinux-2.o');
    expect(relocations(module, '.init.klp_objects')).toEqual([
      '0 R_X86_64_64 .rodata.klp.str1.1 + 1',
      '8 R_X86_64_64 .init.klp_funcs + 0',
      '10 R_X86_64_64 before + 0',
    ]);
    expect(relocations(vmlinux, '.init.klp_objects')).toEqual([
      '8 R_X86_64_64 .init.klp_funcs + 0',
      '10 R_X86_64_64 before + 0',
    ]);
    expect(readelf(module, '-p', '.rodata.klp.str1.1').slice(1)).toEqual([
      '[     1]  nf_tables',
      '[     b]  foo.llvm.123',
    ]);
    expect(relocations(module, '__klp_relocs.nf_tables')).toEqual([
      '0 R_X86_64_64 .text.foo + 48',
      '8 R_X86_64_64 .klp.sym.nf_tables.counter.7,0 + 8',
    ]);
    expect(relocations(module, '__klp_relocs.vmlinux')).toHaveLength(6);
  });

  test('a relocation of a table that the linker drops is listed where it is dropped, too', async () => {
    const { object } = sample();
    const [target] = object.klpRelas.map((rela) => rela.target);
    const table = object.section({
      name: '.call_sites',
      type: SHT_PROGBITS,
      flags: SHF_ALLOC,
      entsize: 0,
      use: 'module',
    });
    object.klpRelas.push({ section: table, offset: table.append(4, 4), type: 2, target: target!, addend: 0 });
    const path = await written(object, 'dropped.o');
    expect(relocations(path, '.discard.klpflow__klp_relocs.vmlinux')).toEqual([
      '0 R_X86_64_64 .discard.klpflow.call_sites + 0',
      '8 R_X86_64_64 .klp.sym.vmlinux.helper,1 + 0',
    ]);
    expect(relocations(path, '__klp_relocs.vmlinux')).toHaveLength(8);
    expect(plain(readKlpObject(ElfObject.open(path)))).toEqual(plain(object));
  });

  test('processors of which no modules are made are refused', () => {
    expect(() => writeKlpObject(new LivepatchObject('vmlinux', 22, FACTS, { orig: '', patched: '' }))).toThrow(
      expect.objectContaining({ code: 'unsupported-object' }),
    );
  });
});

describe('an object that is read', () => {
  const reading = (path: string): unknown => {
    try {
      return readKlpObject(ElfObject.open(path));
    } catch (thrown) {
      return diagnosticOf(thrown);
    }
  };

  /** The sample with one change of what it says about itself. */
  async function recordedAs(name: string, from: string, to: string): Promise<unknown> {
    const path = await written(sample('nf_tables').object, name);
    const bytes = readFileSync(path).toString('latin1');
    expect(from.length).toBe(to.length);
    expect(bytes.split(from)).toHaveLength(2);
    writeFileSync(path, bytes.replace(from, to), 'latin1');
    return reading(path);
  }

  test.each([
    [
      'another position',
      '"module":"nf_tables","name":"counter.7","sympos":0',
      '"module":"nf_tables","name":"counter.7","sympos":1',
      /symbol that the recorded facts do not know/,
    ],
    [
      'another name of the object',
      '"name":"nf_tables"',
      '"name":"nf_tablez"',
      /does not belong to __klp_relocs|called nf_tables/,
    ],
    ['a value of another type', '"ibt":true', '"ibt":"no"', /facts is damaged/],
    ['a value that is none of those known', '"returns":"thunk"', '"returns":"trunk"', /facts is damaged/],
    ['no JSON', '{"schema"', '["schema"', /facts is damaged/],
  ])('is refused where its record does not fit: %s', async (what, from, to, says) => {
    expect(await recordedAs(`${what}.o`, from, to)).toMatchObject({
      code: 'malformed-elf',
      message: expect.stringMatching(says),
    });
  });

  test('damaged anywhere: an error that says where, or a livepatch whose places all lie in their sections', async () => {
    const path = await written(sample().object, 'whole.o');
    const whole = readFileSync(path);
    const outcomes = { 'malformed-elf': 0, read: 0 };
    for (let seed = 0; seed < 1500; seed++) {
      const { bytes, done } = mutate(whole, seed);
      const mutant = join(folder, 'mutant.o');
      writeFileSync(mutant, bytes);
      const found = reading(mutant);
      if (found instanceof LivepatchObject) {
        outcomes.read++;
        for (const { section, offset } of [
          ...found.klpRelas,
          ...found.sections.flatMap((section) => section.relas.map((rela) => ({ section, offset: rela.offset }))),
        ])
          expect(offset, done.join()).toBeLessThanOrEqual(section.size);
        for (const { section, value, size } of found.symbols)
          if (typeof section !== 'string') expect(value + size, done.join()).toBeLessThanOrEqual(section.size);
      } else {
        const { code, message } = found as ReturnType<typeof diagnosticOf>;
        expect(
          [
            'malformed-elf',
            'not-elf',
            'not-relocatable',
            'unsupported-object',
            'compressed-section',
            'unsupported-section',
            'not-klpflow-object',
          ],
          `${done.join()}: ${message}`,
        ).toContain(code);
        if (code === 'malformed-elf') outcomes[code]++;
      }
    }
    expect(outcomes['malformed-elf']).toBeGreaterThan(500);
    expect(outcomes.read).toBeGreaterThan(50);
  });
});

describe("objtool's own output", () => {
  test('is refused by name: it does not say what the module must know of its kernel', (context) => {
    skipWithout(context, unavailable('linux-7.2-thinlto', false));
    const path = join(CORPUS, 'linux-7.2-thinlto/pairs/string-change/objtool.o');
    expect(() => readKlpObject(ElfObject.open(path))).toThrow(
      expect.objectContaining({
        code: 'not-klpflow-object',
        message: expect.stringContaining('.discard.klpflow.facts'),
      }),
    );
  });

  test('describes itself in sections of the same attributes and records as ours', async (context) => {
    skipWithout(context, unavailable('linux-7.2-thinlto', false));
    const ours = await written(sample().object, 'ours.o');
    const own = attributes(ours);
    const described = [
      '__klp_relocs.vmlinux',
      '.rela__klp_relocs.vmlinux',
      '.init.klp_objects',
      '.rela.init.klp_objects',
      '.init.klp_funcs',
      '.rela.init.klp_funcs',
      '.rodata.klp.str1.1',
      '.modinfo',
      '.symtab',
      '.rodata.str1.1',
    ];
    let compared = 0;
    for (const pair of pairsOf('linux-7.2-thinlto')) {
      const path = join(CORPUS, 'linux-7.2-thinlto/pairs', pair, 'objtool.o');
      let theirs: Map<string, string>;
      try {
        readFileSync(path);
        theirs = attributes(path);
      } catch {
        continue; // upstream writes nothing for a pair that it refuses
      }
      for (const name of described)
        if (theirs.has(name)) expect([pair, name, own.get(name)]).toEqual([pair, name, theirs.get(name)]);
      expect(described.filter((name) => theirs.has(name)).length).toBeGreaterThan(7);
      expect(relocations(path, '.init.klp_objects')).toEqual(['8 R_X86_64_64 .init.klp_funcs + 0']);
      compared++;
    }
    expect(compared).toBeGreaterThan(5);
  });
});
