import { copyFileSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { KlpflowError } from '../../src/diagnostics';
import { ElfObject, copyLoaded } from '../../src/elf';
import { withDebugHole } from '../support/large-file';
import { Random } from '../../src/synth/random';
import { readelf } from '../support/readelf';
import { resultOf, running, type Ran } from '../support/run-klpflow';
import { smallPair, type SmallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const at = (name: string): string => join(folder, name);
const GIB = 2 ** 30;

let pair: SmallPair;
let answer: string;

function findings(ran: Ran): string {
  const { run, ...rest } = resultOf(ran);
  expect(run.workers).toBeGreaterThan(0);
  return JSON.stringify(rest);
}

const diff = (orig: string, patched: string, runDir: string): Promise<Ran> =>
  running(['diff', orig, patched, '--json', '--progress', 'json', '--run-dir', at(runDir)]);

beforeAll(async () => {
  pair = await smallPair(at('pair'));
  answer = findings(await diff(pair.orig, pair.patched, 'plain'));
});

describe('files of more than 2 GiB', () => {
  // A kernel with DWARF has up to 4 GB, and one mapping ends at 2 GiB.
  test('with debugging sections in the middle: the same answer as without', async () => {
    withDebugHole(pair.orig, at('orig-5g.o'), 5 * GIB);
    withDebugHole(pair.patched, at('patched-3g.o'), 3 * GIB);
    expect(statSync(at('orig-5g.o')).size).toBeGreaterThan(5 * GIB);
    // The premise: binutils takes the file for an object like any other.
    expect(readelf(at('orig-5g.o'), '-SW').join('\n')).toMatch(/\.debug_info +PROGBITS/);
    expect(findings(await diff(at('orig-5g.o'), at('patched-3g.o'), 'large'))).toBe(answer);

    // A copy that was damaged is made again: read as it is, it would be another kernel.
    for (const name of readdirSync(join(at('large'), 'copies'))) {
      const copy = join(at('large'), 'copies', name);
      const bytes = readFileSync(copy);
      bytes[bytes.length >> 1]! ^= 0xff;
      writeFileSync(copy, bytes);
    }
    const again = await diff(at('orig-5g.o'), at('patched-3g.o'), 'large');
    expect(findings(again)).toBe(answer);
    expect(again.events.filter(({ stage, reused }) => stage === 'identify' && reused)).toHaveLength(2);
  });

  test('whose sections do not lie in the order of their headers: every content is the same', () => {
    // Copied in the headers' order, pieces would overlap what was written before.
    const source = readFileSync(pair.orig);
    const orig = ElfObject.open(pair.orig);
    const moved = [...Array(orig.sectionCount).keys()]
      .filter((section) => section > 0 && orig.content(section).length > 0)
      .slice(0, 3);
    const parts: Uint8Array[] = [source];
    let end = source.length;
    for (const section of moved) {
      end = Math.ceil(end / 4096) * 4096 + 4096 * 40;
      parts.push(Buffer.alloc(end - parts.reduce((sum, { length }) => sum + length, 0)), orig.content(section));
      source.writeBigUInt64LE(BigInt(end), orig.headersOffset + section * 64 + 24);
      end += orig.size(section);
    }
    writeFileSync(at('unordered.o'), Buffer.concat(parts));
    copyLoaded(at('unordered.o'), at('unordered-copy.o'), GIB);
    const copy = ElfObject.open(at('unordered-copy.o'));
    expect(moved).toHaveLength(3);
    expect(copy.sectionCount).toBe(orig.sectionCount);
    for (let section = 1; section < orig.sectionCount; section++) {
      if (!Buffer.from(copy.content(section)).equals(orig.content(section)))
        expect.fail(`section ${section} ${orig.name(section)} differs`);
    }
  });

  test('followed by nothing that a section names: the rest is passed over', async () => {
    copyFileSync(pair.orig, at('sparse.o'));
    truncateSync(at('sparse.o'), 3 * GIB);
    expect(findings(await diff(at('sparse.o'), pair.patched, 'sparse'))).toBe(answer);
  });

  test('that are no object: said as for small ones', async () => {
    writeFileSync(at('no-elf'), 'text');
    truncateSync(at('no-elf'), 3 * GIB);
    expect(await diff(at('no-elf'), pair.patched, 'wrong')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('"not-elf"'),
    });
    expect(readdirSync(at('wrong'), { recursive: true }).filter((name) => `${name}`.endsWith('.tmp'))).toEqual([]);
  });
});

describe('copyLoaded', () => {
  test('leaves out debugging sections and their relas, and nothing else', () => {
    withDebugHole(pair.orig, at('hole.o'), GIB);
    copyLoaded(at('hole.o'), at('copy.o'), 2 * GIB);
    expect(statSync(at('copy.o')).size).toBeLessThan(2 * statSync(pair.orig).size);
    const [orig, copy] = [ElfObject.open(pair.orig), ElfObject.open(at('copy.o'))];
    expect(copy.sectionCount).toBe(orig.sectionCount + 2);
    for (let section = 1; section < orig.sectionCount; section++) {
      expect([copy.type(section), copy.size(section), copy.offset(section) % 16]).toEqual(
        orig.name(section) === '.shstrtab'
          ? [orig.type(section), copy.size(section), copy.offset(section) % 16]
          : [orig.type(section), orig.size(section), copy.offset(section) % 16],
      );
      if (orig.name(section) !== '.shstrtab')
        expect(Buffer.from(copy.content(section)).equals(Buffer.from(orig.content(section))), orig.name(section)).toBe(
          true,
        );
    }
    expect(copy.name(orig.sectionCount)).toBe('.debug_info');
    expect(copy.content(orig.sectionCount)).toHaveLength(0);
  });

  test('says how much there would be to map', () => {
    withDebugHole(pair.orig, at('hole.o'), 1 << 20);
    expect(() => copyLoaded(at('hole.o'), at('small.o'), 1000)).toThrow(
      expect.objectContaining({
        code: 'input-too-large',
        message: expect.stringMatching(/has \d{6} bytes without debugging sections; this version maps at most 1000/),
      }),
    );
  });

  test('damaged headers and tables are typed errors', () => {
    withDebugHole(pair.orig, at('hole.o'), 1 << 16);
    const whole = readFileSync(at('hole.o'));
    const table = Number(whole.readBigUInt64LE(40));
    const random = new Random(11);
    let refused = 0;
    for (let i = 0; i < 400; i++) {
      const mutant = Buffer.from(whole);
      for (let k = 0; k < 3; k++) {
        const spot = random.below(2) === 0 ? 4 + random.below(60) : table + random.below(whole.length - table);
        mutant[spot] = random.below(256);
      }
      writeFileSync(at('mutant.o'), i % 10 === 0 ? mutant.subarray(0, random.below(mutant.length)) : mutant);
      try {
        copyLoaded(at('mutant.o'), at('mutant-copy.o'), 2 * GIB);
      } catch (cause) {
        refused++;
        expect(cause).toBeInstanceOf(KlpflowError);
        expect(['malformed-elf', 'input-too-large']).toContain((cause as KlpflowError).code);
      }
    }
    expect(refused).toBeGreaterThan(40);
  });
});
