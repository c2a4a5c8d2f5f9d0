/**
 * Real fixes, drawn by seed, on the stock kernel that they were made after: each is written, refused with a reason, or changes nothing; what is written is loaded,
 * takes effect, is taken back and unloaded. KLPFLOW_E2E_FIXES says how many (nightly 100), KLPFLOW_E2E_SEED which, KLPFLOW_E2E_SERIES of which kernel. What is
 * loaded is made from the two objects with nothing but the kernel's image: it must be what `build` makes with Module.symvers and configuration at hand.
 */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { BuildResult } from '../../src/index';
import type { Trial } from '../boot/init';
import { boot } from '../boot/qemu';
import { complaints, readReport } from '../boot/report';
import { initramfs, missingForBoots } from '../boot/root';
import { Rng } from '../live/rng';
import { MAIN } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';
import { fixesBetween, outcomeOf, reasonsOf, withNeeded, works, type Outcome } from './fixes';
import { CACHE, debianKernel, versionsOf, type Packages } from './packages';
import { trixie, useTrixiePackages, type Trixie } from './trixie';

const COUNT = Number(process.env['KLPFLOW_E2E_FIXES'] ?? 4);
const SEED = Number(process.env['KLPFLOW_E2E_SEED'] ?? 1);
const SERIES = process.env['KLPFLOW_E2E_SERIES'] ?? '6.12';
/** So many livepatches a guest. */
const BATCH = 10;
/** 7.x is compiled by trixie's compiler, as trixie has its packages; others by this machine's. */
const OF_TRIXIE = SERIES.startsWith('7.');

const folder = tempFolder();
const noPackages = OF_TRIXIE ? useTrixiePackages() : undefined;
const versions = versionsOf(SERIES);
const older = process.env['KLPFLOW_E2E_VERSION'] ?? versions.at(-1);
/** The next release: what is further away needs more of what lies between. Of a series with one release, the fixes that it has from the series before are taken back. */
const next = versions[versions.indexOf(older ?? '') - 1];
const [from, to] =
  process.env['KLPFLOW_E2E_BETWEEN']?.split('..') ??
  (versions.length === 1 ? versionsOf(seriesBefore(SERIES)) : [older, next]);
const found =
  noPackages ??
  (from === undefined || to === undefined
    ? `the archive has no release of ${SERIES} after ${older}`
    : debianKernel(older));
const system = typeof found !== 'string' && OF_TRIXIE ? trixie() : { within: [] };
const reason = [found, system].find((one) => typeof one === 'string') ?? missingForBoots();
const kernel = found as Packages;
const { within } = system as Trixie;
const report = join(CACHE, `fixes-${SERIES}-${SEED}`);

function seriesBefore(series: string): string {
  const [major, minor] = series.split('.').map(Number);
  return `${major}.${minor! - 1}`;
}

interface Tried {
  path: string;
  outcome: Outcome;
  reasons: string[];
  seconds: number;
}
const tried: Tried[] = [];
const trials: Trial[] = [];

async function tryFix(path: string, patch: string): Promise<Outcome> {
  const name = path.replace(/[^A-Za-z0-9]+/g, '-');
  const [file, module] = [join(report, `${name}.patch`), join(report, `${name}.ko`)];
  writeFileSync(file, patch, 'latin1');
  const started = performance.now();
  const words = ['--source', kernel.source, '--root', kernel.root, '--run-dir', join(CACHE, 'runs'), '-o', module];
  const ran = klpflow(['build', file, ...words, '--progress', 'none']);
  writeFileSync(join(report, `${name}.json`), ran.stdout);
  if (ran.stdout === '') throw new Error(`${path}: klpflow says nothing: ${ran.stderr.slice(-2000)}`);
  const result = JSON.parse(ran.stdout) as BuildResult;
  const reasons = reasonsOf(result);
  const outcome = outcomeOf(ran.status, reasons);
  tried.push({ path, outcome, reasons, seconds: (performance.now() - started) / 1000 });
  if (outcome !== 'written') return outcome;
  const alone = byImageAlone(result, module);
  if (alone !== undefined) {
    byImage++;
    expect(readFileSync(alone).equals(readFileSync(module)), `${path}: by the image alone another module`).toBe(true);
  }
  trials.push(await trialOf(`f${trials.length}-${name}`, alone ?? module, result));
  return outcome;
}

function klpflow(args: readonly string[]): SpawnSyncReturns<string> {
  const [program = '', ...words] = [...within, within.length > 0 ? 'node' : process.execPath, MAIN];
  return spawnSync(program, [...words, ...args, '--json'], { encoding: 'utf8', maxBuffer: 1 << 28 });
}

/** Modules that were made so. */
let byImage = 0;

/**
 * The same livepatch from its two objects, with `--vmlinux` alone; where sections of their own are aligned otherwise than within the unit (GCC 14), with the unit
 * compiled plainly, which `build` has kept, too. Undefined where there are objects of several owners.
 */
function byImageAlone({ pairs }: BuildResult, module: string): string | undefined {
  const [pair, ...others] = pairs;
  if (pair === undefined || others.length > 0) return undefined;
  const out = join(folder, basename(module));
  const owner = pair.owner === 'vmlinux' ? [] : ['--module', pair.owner];
  const words = ['diff', pair.orig, pair.patched, '-o', out, '--vmlinux', kernel.image, ...owner];
  const plain = [[], ...plainObjects(pair).map((path) => ['--plain', path])];
  return plain.some((more) => klpflow([...words, ...more]).status === 0) ? out : undefined;
}

/** Of the pair's owner all: one of another unit proves nothing. */
function plainObjects({ orig, owner }: BuildResult['pairs'][number]): string[] {
  const pairs = dirname(dirname(dirname(orig)));
  return readdirSync(pairs)
    .map((name) => join(pairs, name, owner, 'plain.o'))
    .filter((path) => existsSync(path));
}

async function trialOf(name: string, module: string, { diff }: BuildResult): Promise<Trial> {
  const content = readFileSync(module);
  const owners = diff!.objects.map((object) => object.name).filter((owner) => owner !== 'vmlinux');
  return {
    name,
    moduleName: /\0name=([^\0]+)\0/.exec(content.toString('latin1'))![1]!,
    module: content,
    run: 'for one in /sys/kernel/livepatch/*/*/patched; do echo $one $(cat $one); done',
    livepatch: true,
    sites: [],
    targets: { modules: await withNeeded(kernel, owners, folder), late: false, reload: false },
  };
}

test(`${COUNT} fixes between ${from} and ${to} on ${older}`, { timeout: COUNT * 120_000 }, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  mkdirSync(report, { recursive: true });
  const fixes = new Rng(SEED, SERIES).shuffled(fixesBetween(from!, to!));
  expect(fixes.length).toBeGreaterThan(100);
  // Most of the source is of no use to one kernel: those do not count.
  for (let counted = 0; counted < COUNT && fixes.length > 0; ) {
    const { path, patch } = fixes.shift()!;
    if ((await tryFix(path, patch)) !== 'not in this kernel') counted++;
    console.log(lineOf(tried.at(-1)!));
  }
  const outcomes = [...new Set(tried.map(({ outcome }) => outcome))];
  console.log(outcomes.map((one) => `${one}: ${tried.filter(({ outcome }) => outcome === one).length}`).join('; '));
  expect(tried.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
  console.log(`${byImage} of ${trials.length} made again by the image alone`);
  expect(byImage).toBeGreaterThan(trials.length / 2);
  expect(trials.length, 'most fixes are of code that can be patched').toBeGreaterThan(COUNT / 3);
});

test('what was written works', { timeout: COUNT * 120_000 }, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  const wrong: string[] = [];
  for (let first = 0; first < trials.length; first += BATCH) {
    const batch = trials.slice(first, first + BATCH);
    const booted = await boot({
      image: kernel.image,
      initramfs: initramfs(batch, folder),
      append: '',
      cpu: 'max',
      cpus: 2,
      folder: join(report, `boot-${first}`),
    });
    const told = readReport(booted.report);
    for (const { name } of batch) {
      const one = told.trials.get(name);
      if (one === undefined || !works(one)) wrong.push(`${name}: ${one?.steps.join(', ') ?? 'not reached'}`);
      else if (!/patched 1$/m.test(one.after ?? '')) wrong.push(`${name}: nothing is patched: ${one.after}`);
    }
    wrong.push(...complaints(booted.log));
  }
  expect(wrong).toEqual([]);
});

function lineOf({ path, outcome, reasons, seconds }: Tried): string {
  return `${seconds.toFixed(1).padStart(6)} s  ${outcome.padEnd(22)}  ${path}  ${reasons.join(', ')}`;
}
