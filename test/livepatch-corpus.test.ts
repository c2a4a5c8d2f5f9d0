/**
 * Livepatches of real changes in two real kernels, from the command line to a module on disk: verified by the independent check,
 * and the same bytes whatever the number of threads, or how often a run was killed.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { verify } from '../src/verify';
import {
  CORPUS,
  KERNELS,
  kernelFiles,
  pairsOf,
  skipWithout,
  unavailable,
  unlike,
  unpack,
  type Kernel,
} from './support/corpus';
import { EXIT_CODES, klpflow, resultOf, withoutRun, type Ran } from './support/run-klpflow';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Which pair is killed after which event; another one a kernel, for each run costs seconds. */
const KILLS: Record<Kernel, ReadonlyArray<readonly [pair: string, stage: string]>> = {
  'linux-7.2-thinlto': [
    ['special-sections', 'extract'],
    ['string-change', 'assess'],
  ],
  'debian-6.12-gcc': [
    ['runtime-constants', 'extract'],
    ['special-sections', 'compare'],
  ],
};

describe.each(KERNELS)('%s', (kernel) => {
  const missing = unavailable(kernel, true);
  beforeEach((context) => skipWithout(context, missing));
  afterAll(() => rmSync(join(folder, kernel), { recursive: true, force: true }));

  const pairs = missing === undefined ? pairsOf(kernel) : [];
  const verdictOf = (pair: string): string =>
    (JSON.parse(readFileSync(join(CORPUS, kernel, 'pairs', pair, 'expected.json'), 'utf8')) as { verdict: string })
      .verdict;
  const patchable = pairs.filter((pair) => verdictOf(pair) === 'patchable');
  const others = pairs.filter((pair) => verdictOf(pair) !== 'patchable');
  const out = (pair: string): string => join(folder, `${kernel}-${pair}.ko`);

  const diff = (pair: string, dir: string, workers: number, ...more: string[]): string[] => {
    const { orig, patched } = unpack(kernel, pair);
    const { symvers, vmlinux, btf, template } = kernelFiles(kernel);
    return [
      'diff',
      orig,
      patched,
      '-o',
      out(pair),
      '--symvers',
      symvers,
      '--vmlinux',
      vmlinux,
      '--btf',
      btf,
      '--template',
      template,
      '--run-dir',
      join(folder, kernel, dir),
      '--workers',
      String(workers),
      '--json',
      '--progress',
      'json',
      ...more,
    ];
  };

  const plain = new Map<string, Promise<{ ran: Ran; bytes: Buffer }>>();
  const plainRun = (pair: string): Promise<{ ran: Ran; bytes: Buffer }> => {
    const running =
      plain.get(pair) ??
      klpflow(diff(pair, 'two-threads', 2)).then((ran) => ({
        ran,
        bytes: existsSync(out(pair)) ? readFileSync(out(pair)) : Buffer.alloc(0),
      }));
    plain.set(pair, running);
    return running;
  };

  test('has pairs of both sorts', () => {
    // Otherwise nothing below runs, and nothing fails.
    expect(patchable.length).toBeGreaterThan(4);
    expect(others.length).toBeGreaterThan(3);
  });

  describe.each(patchable.length === 0 ? ['none'] : patchable)('%s', (pair) => {
    test('gives a module that the independent check finds fine', async () => {
      const { ran, bytes } = await plainRun(pair);
      const { output, objects, verdict } = resultOf(ran);
      expect({ status: ran.status, verdict, output }).toEqual({
        status: 0,
        verdict: 'patchable',
        output: {
          path: out(pair),
          format: 'ko',
          bytes: bytes.length,
          sha256: sha256(bytes),
          module: expect.any(String),
        },
      });
      expect(objects[0]!.klpSymbols.length).toBeGreaterThan(0);
      for (const { evidence } of objects[0]!.klpSymbols) expect(evidence).not.toMatch(/not seen|^$/);

      const { expected, patched } = unpack(kernel, pair);
      const { symvers, vmlinux, btf, template } = kernelFiles(kernel);
      const result = verify({ module: out(pair), vmlinux, symvers, btf, template, objects: [patched] });
      expect(result.diagnostics.filter(({ severity }) => severity !== 'note')).toEqual([]);
      expect(result.ok).toBe(true);
      // Every changed function is redirected, or callers that bring it along are.
      const redirected = result.module.objects.flatMap(({ functions }) => functions.map(({ name }) => ({ name })));
      const carried = objects[0]!.functions.carried;
      if (carried.length === 0)
        expect(unlike({ ...expected, new: [] }, { changed: redirected, new: [] })).toEqual({
          missing: [],
          unexpected: [],
        });
      else expect(redirected.length).toBeGreaterThan(0);
    });

    test('gives the same bytes with one thread as with two', async () => {
      const { ran, bytes } = await plainRun(pair);
      rmSync(out(pair), { force: true });
      const one = await klpflow(diff(pair, 'one-thread', 1));
      expect(resultOf(one).run.workers).toBe(1);
      expect(withoutRun(one)).toBe(withoutRun(ran));
      expect(readFileSync(out(pair)).equals(bytes)).toBe(true);
    });
  });

  test.each(KILLS[kernel])('%s, killed after stage %s, goes on and gives the same bytes', async (pair, stage) => {
    const { ran, bytes } = await plainRun(pair);
    rmSync(out(pair), { force: true });
    const argv = diff(pair, `killed-${pair}`, 2);
    const killed = await klpflow(argv, (event) => event.stage === stage);
    expect(killed.signal).toBe('SIGKILL');
    // Half a module is none.
    expect(existsSync(out(pair))).toBe(false);
    const again = await klpflow(argv);
    expect(withoutRun(again)).toBe(withoutRun(ran));
    expect(readFileSync(out(pair)).equals(bytes)).toBe(true);
    if (stage === 'extract')
      expect(again.events.filter((event) => event.stage === 'extract').map(({ reused }) => reused)).toEqual([true]);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test.each(others.length === 0 ? ['none'] : others)('%s is not written, and what lies there stays', async (pair) => {
    writeFileSync(out(pair), 'an older livepatch');
    const { ran } = await plainRun(pair);
    const { verdict, output } = resultOf(ran);
    expect({ verdict, output, status: ran.status }).toEqual({
      verdict: verdictOf(pair),
      output: null,
      status: EXIT_CODES[verdictOf(pair) as keyof typeof EXIT_CODES],
    });
    expect(readFileSync(out(pair), 'utf8')).toBe('an older livepatch');
  });

  test('a listing of another kernel is refused', async () => {
    // Swapped files give klp symbols at other positions, or none: on a fleet the livepatch binds to another function.
    const other = KERNELS.find((name) => name !== kernel)!;
    unpack(other, 'cmdline-marker');
    const argv = diff('cmdline-marker', 'two-threads', 2);
    argv[argv.indexOf('--vmlinux') + 1] = kernelFiles(other).vmlinux;
    rmSync(out('cmdline-marker'), { force: true });
    const ran = await klpflow(argv);
    expect(ran.status).toBe(2);
    expect(resultOf(ran).diagnostics.map(({ code }) => code)).toContain('orig-not-running-kernel');
    expect(existsSync(out('cmdline-marker'))).toBe(false);
  });
});
