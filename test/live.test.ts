/**
 * The live trial: random patches of random programs, each made a livepatch, applied to the running original and compared with the patched
 * program. `npm run test:live` tries more of them; test/live/README.md says what programs are made of.
 */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { root } from '../scripts/bundle.mjs';
import { ElfObject } from '../src/elf';
import { RUNTIME, bundleTrial } from './live/run.mjs';
import { TARGETS, missing, type TargetName } from './live/target';
import type { Outcome } from './live/trial';
import { skipWithout } from './support/corpus';
import { tempFolder } from './support/temp-folder';

const absent = (name: TargetName): string | undefined =>
  missing(TARGETS[name], [TARGETS[name].gcc, TARGETS[name].clang]);
const folder = tempFolder();
const MAIN = join(root, `dist/.live-${process.pid}.js`);
const SAMPLE = join(root, 'test/live/pairs/sample.json');
const REGRESSIONS = join(root, 'test/live/regressions');

/** A quarter of a minute where nothing else runs. */
const LONGEST = 900_000;

beforeAll(() => bundleTrial(MAIN));
afterAll(() => rmSync(MAIN, { force: true }));
beforeEach((context) => skipWithout(context, absent('x86-64')));

/** What the trial prints, as JSON; it ends with 1 where something was wrong. */
async function trial(...argv: string[]): Promise<string> {
  const options = { encoding: 'utf8', maxBuffer: 1 << 26 } as const;
  return promisify(execFile)(process.execPath, [MAIN, '--runtime', RUNTIME, '--json', ...argv], options).then(
    ({ stdout }) => stdout,
    (failed: { code: number; stdout: string; stderr: string }) => {
      if (failed.code !== 1 || failed.stdout === '')
        throw new Error(`the trial ended with ${failed.code}: ${failed.stderr}`);
      return failed.stdout;
    },
  );
}

interface Summary {
  patches: number;
  effective: number;
  dialects: Record<string, Record<Outcome['end'], number>>;
  kinds: Record<string, unknown>;
  wrong: string[];
  invalid: string[];
}

test(
  'no livepatch of 150 random patches is wrong',
  async () => {
    const { patches, effective, dialects, kinds, wrong, invalid } = JSON.parse(
      await trial('--count', '150', '--seed', '1'),
    ) as Summary;
    expect(wrong).toEqual([]);
    // The premises: pairs are pairs, most patches can be seen, and every construct had its turn.
    expect(invalid).toEqual([]);
    expect(patches).toBe(150);
    expect(effective).toBeGreaterThan(100);
    expect(Object.keys(kinds).length).toBeGreaterThan(15);
    for (const [dialect, { right, unchanged }] of Object.entries(dialects))
      expect((right + unchanged) / patches, dialect).toBeGreaterThan(0.85);
  },
  LONGEST,
);

// Branches that do not reach, types before functions, entries of NOPs: what else goes wrong on arm64 shows in no program of x86-64.
test(
  'nor is one of 32 finished modules for arm64',
  async (context) => {
    const reason = absent('arm64');
    if (reason !== undefined) context.skip(reason);
    const { patches, effective, dialects, wrong, invalid } = JSON.parse(
      await trial('--arch', 'arm64', '--count', '32', '--seed', '2'),
    ) as Summary;
    expect({ patches, wrong, invalid }).toEqual({ patches: 32, wrong: [], invalid: [] });
    expect(effective).toBeGreaterThan(20);
    expect(Object.keys(dialects)).toEqual(['ko', 'kpatch']);
    for (const [dialect, { right, unchanged }] of Object.entries(dialects))
      expect(right + unchanged, dialect).toBeGreaterThan(20);
  },
  LONGEST,
);

// Propeller's: each block has a section and a symbol of its own (`f.__part.3`), and jumps from each to each.
test(
  'nor is one where every basic block is a section',
  async () => {
    const { dialects, wrong, invalid } = JSON.parse(
      await trial('--count', '60', '--seed', '7', '--clang-flags=-fbasic-block-sections=all'),
    ) as Summary;
    expect({ wrong, invalid }).toEqual({ wrong: [], invalid: [] });
    for (const [dialect, { right, unchanged }] of Object.entries(dialects))
      expect(right + unchanged, dialect).toBeGreaterThan(40);
  },
  LONGEST,
);

test(
  'what was wrong once is right',
  async (context) => {
    const files = readdirSync(REGRESSIONS)
      .filter((name) => name.endsWith('.json'))
      .filter((name) => !name.startsWith('arm64-') || absent('arm64') === undefined)
      .sort();
    if (files.length === 0) context.skip('no regressions are kept');
    const lines = (await trial(...files.flatMap((name) => ['--pair', join(REGRESSIONS, name)])))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { file: string; outcomes: Outcome[] });
    expect(lines.length).toBe(files.length);
    expect(
      lines.flatMap(({ file, outcomes }) =>
        outcomes
          .filter(({ end }) => end === 'wrong')
          .map(({ dialect, why }) => `${file} ${dialect}: ${why.join('; ')}`),
      ),
    ).toEqual([]);
  },
  LONGEST,
);

describe('a livepatch that is spoiled is found out', () => {
  let bytes: Buffer;
  const kept = join(folder, 'sample');
  const run = (program: string, ...argv: string[]): { stdout: string; stderr: string; status: number | null } =>
    spawnSync(join(kept, program), [join(kept, 'list'), ...argv], { encoding: 'latin1' });

  beforeAll(async () => {
    if (absent('x86-64') !== undefined) return;
    const { outcomes } = JSON.parse(await trial('--pair', SAMPLE, '--keep', kept)) as { outcomes: Outcome[] };
    expect(outcomes.map(({ end }) => end)).toEqual(['right', 'right']);
    bytes = readFileSync(join(kept, 'livepatch-klp.o'));
  });

  /** What the original prints with a livepatch, and what the loader says. */
  function applied(livepatch: Buffer): { right: boolean; refused: string } {
    writeFileSync(join(kept, 'spoiled.o'), livepatch);
    const { stdout, stderr } = run('orig.image', join(kept, 'spoiled.o'), join(kept, 'Module.symvers'));
    return { right: stdout === run('patched.image').stdout, refused: stderr.trim() };
  }

  /** A copy with one text for another of the same length, all NUL-terminated. */
  function renamed(from: string, to: string): Buffer {
    const copy = Buffer.from(bytes);
    const at = copy.indexOf(`\0${from}\0`, 0, 'latin1');
    expect([at > 0, from.length]).toEqual([true, to.length]);
    copy.write(to, at + 1, 'latin1');
    return copy;
  }

  const section = (name: string): { offset: number; size: number } => {
    const object = ElfObject.open(join(kept, 'livepatch-klp.o'));
    const found = Array.from({ length: object.sectionCount }, (_, i) => i).find((i) => object.name(i) === name)!;
    const header = Number(bytes.readBigUInt64LE(40)) + found * 64;
    return { offset: Number(bytes.readBigUInt64LE(header + 24)), size: Number(bytes.readBigUInt64LE(header + 32)) };
  };

  /** A copy whose klp relocations against a symbol have another addend. */
  function moved(name: string, by: bigint): Buffer {
    const copy = Buffer.from(bytes);
    const { offset, size } = section('.rela__klp_relocs.vmlinux');
    const object = ElfObject.open(join(kept, 'livepatch-klp.o'));
    let count = 0;
    for (let at = offset; at < offset + size; at += 24) {
      if (object.symbolName(copy.readUInt32LE(at + 12)) !== name) continue;
      copy.writeBigInt64LE(copy.readBigInt64LE(at + 16) + by, at + 16);
      count++;
    }
    expect(count).toBeGreaterThan(0);
    return copy;
  }

  test('as it is it is right', () => {
    expect(applied(bytes)).toEqual({ right: true, refused: '' });
    expect(run('orig.image').stdout).not.toBe(run('patched.image').stdout);
  });

  test('the other variable of the name, another position than there is, none', () => {
    const found = ['1', '2'].find((position) => bytes.includes(`.klp.sym.vmlinux.counter,${position}\0`))!;
    const as = (position: string): ReturnType<typeof applied> =>
      applied(renamed(`.klp.sym.vmlinux.counter,${found}`, `.klp.sym.vmlinux.counter,${position}`));
    expect(as(found === '1' ? '2' : '1')).toEqual({ right: false, refused: '' });
    expect(as('3')).toEqual({ right: false, refused: 'refused: kallsyms has no such symbol counter' });
    expect(as('0')).toEqual({ right: false, refused: 'refused: unresolvable ambiguity for symbol counter' });
  });

  test('a variable that only begins as the shared one did', () => {
    const found = ['1', '2'].find((position) => bytes.includes(`.klp.sym.vmlinux.counter,${position}\0`))!;
    expect(applied(renamed(`.klp.sym.vmlinux.counter,${found}`, '.klp.sym.vmlinux.counted,0'))).toEqual({
      right: false,
      refused: '',
    });
  });

  test('an addend that is off', () => {
    expect(applied(moved('.klp.sym.vmlinux.steps,0', 8n))).toEqual({ right: false, refused: '' });
  });

  test('a relocation into the middle of a function', () => {
    expect(applied(moved('.klp.sym.vmlinux.other,0', 3n)).refused).toMatch(
      /^refused: a relocation leads into the middle of a function/,
    );
  });

  test('a function that is not redirected', () => {
    const copy = Buffer.from(bytes);
    const { offset } = section('.init.klp_objects');
    expect(copy.readUInt32LE(offset + 56)).toBe(2);
    copy.writeUInt32LE(1, offset + 56);
    expect(applied(copy)).toEqual({ right: false, refused: '' });
  });

  test('two that redirect one address, and one that cannot be redirected', () => {
    expect(applied(renamed('peeks', 'count')).refused).toMatch(
      /^refused: two functions redirect one address|^refused: unresolvable ambiguity/,
    );
    expect(applied(renamed('peeks', 'quiet'))).toEqual({
      right: false,
      refused: 'refused: failed to find location for function quiet',
    });
  });

  test('a name that nobody exports', () => {
    expect(applied(renamed('rt_warming', 'rt_warmish'))).toEqual({
      right: false,
      refused: 'refused: Unknown symbol rt_warmish',
    });
  });
});
