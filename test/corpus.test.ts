/**
 * Real changes in two real kernels, through the built command line: what changed, what refuses it, and that neither the
 * number of threads nor a kill changes a byte of the answer.
 *
 * What runs how often is chosen to end within some two minutes on two cores: every pair with two threads and, in another
 * run directory, with one; in each of these, ORIG is scanned once for all pairs of its kernel. Kills: four a kernel, each
 * of another pair and after another stage, and one kernel killed after every single piece of work.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { ProgressEvent } from '../src/index';
import {
  KERNELS,
  pairsOf,
  skipWithout,
  unavailable,
  unlike,
  unpack,
  type Expected,
  type Kernel,
} from './support/corpus';
import { PlainElf } from './support/plain-elf';
import { areAliases, holds, type PlainPair } from './support/premises';
import { EXIT_CODES, klpflow, resultOf, withoutRun, type Ran } from './support/run-klpflow';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();

/** After which event a run is killed: the n-th one of a stage. */
const KILLS: Record<Kernel, ReadonlyArray<readonly [pair: string, nth: number, stage: ProgressEvent['stage']]>> = {
  'linux-7.2-thinlto': [
    ['new-global-two-files', 2, 'identify'],
    ['string-change', 1, 'scan'],
    ['three-reasons', 3, 'digest'],
    ['seal-hazard', 1, 'compare'],
  ],
  'debian-6.12-gcc': [
    ['line-shift', 1, 'identify'],
    ['runtime-constants', 2, 'scan'],
    ['special-sections', 1, 'digest'],
    ['three-reasons', 1, 'correlate'],
  ],
};

/** The pairs of which every run is killed after its first piece of new work. */
const KILLED_AGAIN_AND_AGAIN: Partial<Record<Kernel, string>> = { 'debian-6.12-gcc': 'new-function-static-local' };

/** Stages whose work is recorded piece by piece. */
const RECORDED: readonly string[] = ['identify', 'scan', 'digest'];

describe.each(KERNELS)('%s', (kernel) => {
  const pairs = pairsOf(kernel);
  const missing = unavailable(kernel, true);
  const again = kernel in KILLED_AGAIN_AND_AGAIN ? [KILLED_AGAIN_AND_AGAIN[kernel]!] : [];
  beforeEach((context) => skipWithout(context, missing));
  afterAll(() => rmSync(join(folder, kernel), { recursive: true, force: true }));

  const runDir = (name: string): string => join(folder, kernel, name);
  const diff = (pair: string, dir: string, workers: number, ...more: string[]): readonly string[] => {
    const { orig, patched } = unpack(kernel, pair);
    return [
      'diff',
      orig,
      patched,
      '--run-dir',
      runDir(dir),
      '--workers',
      String(workers),
      '--json',
      '--progress',
      'json',
      ...more,
    ];
  };

  // Every pair's plain run, in the order of first use; all share one run directory.
  const plain = new Map<string, Promise<Ran>>();
  const plainRun = (pair: string): Promise<Ran> => {
    if (!plain.has(pair)) plain.set(pair, klpflow(diff(pair, 'two-threads', 2)));
    return plain.get(pair)!;
  };

  let origElf: PlainElf | undefined;
  const elves = (pair: string): PlainPair => {
    const { orig, patched } = unpack(kernel, pair);
    return { orig: (origElf ??= new PlainElf(orig)), patched: new PlainElf(patched) };
  };

  describe.each(pairs)('%s', (pair) => {
    // Guards against a change that is missed or made up, and a reason that another one hides.
    test('gives the changed and new functions, the verdict, its exit code and all reasons', async () => {
      const { expected } = unpack(kernel, pair);
      const objects = elves(pair);
      for (const premise of expected.premises)
        expect(holds(premise, objects, expected.changed), `premise ${premise}`).toBe(true);

      const ran = await plainRun(pair);
      const { verdict, objects: results, diagnostics } = resultOf(ran);
      expect(results.map(({ name }) => name)).toEqual(['vmlinux']);
      const { changed, new: added } = results[0]!.functions;
      expect(unlike(expected, { changed, new: added })).toEqual({ missing: [], unexpected: [] });
      for (const { name, aliases = [] } of changed)
        for (const alias of aliases) expect(areAliases(objects.orig, name, alias), `${alias} is ${name}`).toBe(true);
      const codes = new Set<string>(diagnostics.map(({ code }) => code));
      expect({ verdict, status: ran.status, codes: expected.codes.filter((code) => codes.has(code)) }).toEqual({
        verdict: expected.verdict,
        status: EXIT_CODES[expected.verdict],
        codes: expected.codes,
      });
    });

    // Guards against results in the order in which threads happen to finish.
    test('gives the same bytes with one thread as with two', async () => {
      const [one, two] = [await klpflow(diff(pair, 'one-thread', 1)), await plainRun(pair)];
      expect([resultOf(one).run.workers, resultOf(two).run.workers]).toEqual([1, 2]);
      expect(one.status).toBe(two.status);
      expect(withoutRun(one)).toBe(withoutRun(two));
    });
  });

  // Guards against a run directory that is written and never read, or read for the wrong object.
  test('scans ORIG once: a second patch takes it from the run directory', async () => {
    const first = await plainRun(pairs[0]!);
    const second = await plainRun(pairs[1]!);
    const { orig, patched } = unpack(kernel, pairs[1]!);
    const told = (ran: Ran, object: string): boolean[] =>
      ran.events.filter((event) => event.object === object).map(({ reused }) => reused);
    expect(told(first, orig)).not.toContain(true);
    expect(told(first, orig).length).toBeGreaterThan(3);
    expect(told(second, orig)).toEqual(told(first, orig).map(() => true));
    expect(told(second, patched)).not.toContain(true);
    const reused = (ran: Ran): Record<string, number> =>
      Object.fromEntries(resultOf(ran).run.stages.map((stage) => [stage.name, stage.reused]));
    expect(reused(first)).toMatchObject({ identify: 0, scan: 0, digest: 0 });
    const counts = (stage: string): number =>
      first.events.filter((event) => event.object === orig && event.stage === stage).length;
    expect(reused(second)).toMatchObject({ identify: 1, scan: 1, digest: counts('digest') });
  });

  // Guards against an outcome that is recorded otherwise than it was told.
  test('gives the same bytes when asked again', async () => {
    const pair = pairs.at(-1)!;
    const first = await plainRun(pair);
    const again = await klpflow(diff(pair, 'two-threads', 2));
    expect(again.status).toBe(first.status);
    expect(again.events.every(({ reused }) => reused)).toBe(true);
    expect(withoutRun(again)).toBe(withoutRun(first));
  });

  // Guards against records that a kill leaves torn and the next run believes, and against work that is told before it is kept.
  test.each(KILLS[kernel])(
    '%s, killed after event %i of stage %s, goes on and gives the same bytes',
    async (pair, nth, stage) => {
      const argv = diff(pair, `killed-${pair}`, 2);
      let seen = 0;
      const killed = await klpflow(argv, (event) => event.stage === stage && ++seen === nth);
      expect({ signal: killed.signal, stdout: killed.stdout }).toEqual({ signal: 'SIGKILL', stdout: '' });
      const again = await klpflow(argv);
      const plainly = await plainRun(pair);
      expect(again.status).toBe(plainly.status);
      expect(withoutRun(again)).toBe(withoutRun(plainly));
      expect(reusedLess(killed, again)).toEqual([]);
    },
  );

  // Guards against a run that starts over, and so never ends where something ends it every time.
  test.each(again)('%s, killed after every piece of work, gets done all the same', async (pair) => {
    const argv = diff(pair, 'killed-again-and-again', 2);
    let kills = 0;
    let ran = await klpflow(argv, isNewWork);
    for (; ran.signal === 'SIGKILL'; ran = await klpflow(argv, isNewWork)) expect(++kills).toBeLessThan(40);
    expect(kills).toBeGreaterThan(4);
    const plainly = await plainRun(pair);
    expect(ran.status).toBe(plainly.status);
    expect(withoutRun(ran)).toBe(withoutRun(plainly));
  });

  // Guards against results in the order in which they come: what is on disk comes first. A kill may leave any set of records.
  test.each([0, 1])('gives the same bytes when every second record is lost (%i)', async (parity) => {
    const pair = pairs.at(-1)!;
    const argv = diff(pair, `lost-${parity}`, 2);
    const first = await klpflow(argv);
    const records = readdirSync(runDir(`lost-${parity}`), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.pb'))
      .sort();
    for (const path of records.filter((name, i) => i % 2 === parity || name.startsWith('pairs')))
      rmSync(join(runDir(`lost-${parity}`), path));
    const again = await klpflow(argv);
    const digests = again.events.filter(({ stage }) => stage === 'digest').map(({ reused }) => reused);
    expect({ some: digests.includes(true), all: !digests.includes(false) }).toEqual({ some: true, all: false });
    expect(withoutRun(again)).toBe(withoutRun(first));
  });

  // Guards against a refusal that nothing can lift though the catalogue says so, and against one that lifts more than it names.
  test('seal-hazard is let through when it is allowed by name, and only then', async () => {
    const allow = async (symbol: string): Promise<{ status: number | null; severity: string | undefined }> => {
      const ran = await klpflow(diff('seal-hazard', 'two-threads', 2, '--allow', `sealed-endbr:${symbol}`));
      return {
        status: ran.status,
        severity: resultOf(ran).diagnostics.find(({ code }) => code === 'sealed-endbr')?.severity,
      };
    };
    expect(await allow('get_avenrun')).toEqual({ status: 0, severity: 'warning' });
    expect(await allow('get_avenrum')).toEqual({ status: 2, severity: 'refusal' });
  });

  // The premises' own premise: each kind can say no.
  test('premises that do not hold are seen', () => {
    const pair = elves('special-sections');
    const broken = [
      'sealed:cmdline_proc_show',
      'sealed:',
      'runtime-ptr:kernel_clone',
      'special-entries:__no_table',
      'new-static-local:kernel_clone.calls',
    ];
    expect(broken.filter((premise) => holds(premise, pair, ['kernel_clone']))).toEqual([]);
    expect(holds('special-entries:__jump_table', pair, ['cmdline_proc_show'])).toBe(false);
    expect(holds('objects-differ', { orig: pair.orig, patched: pair.orig }, [])).toBe(false);
    expect(() => holds('weather:fine', pair, [])).toThrow('no such kind');
  });
});

function isNewWork({ stage, reused }: ProgressEvent): boolean {
  return !reused && RECORDED.includes(stage);
}

/** Work that the first run told and the second did again. */
function reusedLess(first: Ran, second: Ran): string[] {
  const count = ({ events }: Ran, wanted: (event: ProgressEvent) => boolean): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const event of events.filter(wanted))
      counts.set(`${event.stage} ${event.object}`, (counts.get(`${event.stage} ${event.object}`) ?? 0) + 1);
    return counts;
  };
  const again = count(second, ({ reused }) => reused);
  return [...count(first, ({ stage }) => RECORDED.includes(stage))]
    .filter(([key, told]) => (again.get(key) ?? 0) < told)
    .map(([key, told]) => `${key}: told ${told}, reused ${again.get(key) ?? 0}`);
}

describe('the comparison with expected functions', () => {
  const expected: Pick<Expected, 'changed' | 'new' | 'tolerated'> = {
    changed: ['f', 'g'],
    new: ['h'],
    tolerated: ['t'],
  };
  const got = (changed: string[], added: string[] = ['h']) =>
    unlike(expected, { changed: changed.map((name) => ({ name })), new: added.map((name) => ({ name })) });

  test('sees a function that is missing, unexpected, or in the other list', () => {
    expect(got(['f', 'g'])).toEqual({ missing: [], unexpected: [] });
    expect(got(['f'])).toEqual({ missing: ['changed g'], unexpected: [] });
    expect(got(['f', 'g', 'x'])).toEqual({ missing: [], unexpected: ['changed x'] });
    expect(got(['f', 'g', 'h'], [])).toEqual({ missing: ['new h'], unexpected: ['changed h'] });
    expect(got(['f', 'g'], ['h', 'f_too'])).toEqual({ missing: [], unexpected: ['new f_too'] });
  });

  test('forgives what the corpus forgives: promotion suffixes, parts of a listed function, tolerated names, aliases', () => {
    expect(got(['f.llvm.123', 'g', '__pfx_f', 'f.cold', 'f.cold.7', 't'], ['h', 'g.cold', '__pfx_h'])).toEqual({
      missing: [],
      unexpected: [],
    });
    expect(got(['f', 'g', 'x.cold', '__pfx_x']).unexpected).toEqual(['changed x.cold', 'changed __pfx_x']);
    expect(
      unlike({ changed: ['f', 'f.cold'], new: [] }, { changed: [{ name: 'other', aliases: ['f'] }], new: [] }),
    ).toEqual({ missing: [], unexpected: [] });
    expect(got(['__pfx_f', 'g']).missing).toEqual(['changed f']);
  });
});
