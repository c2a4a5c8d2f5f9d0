/**
 * Fixes of the stable series as single units, made into modules with nothing but the image that boots: each must load in that kernel,
 * redirect the functions that it says, be taken back and unload. What shows only there: a position that is another symbol's, a function without
 * an ftrace site, a version that the kernel does not accept.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { CORPUS, skipWithout } from '../support/corpus';
import { resultOf, running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';
import type { Trial } from './init';
import { boot } from './qemu';
import { complaints, readReport } from './report';
import { initramfs } from './root';
import { IMAGES, missing } from './suite';

const KERNEL = 'debian-6.12-gcc';
const folder = tempFolder();
const image = join(CORPUS, KERNEL, IMAGES[KERNEL]);
const archive = join(CORPUS, KERNEL, 'units.tar.zst');
const reason = missing(KERNEL) ?? (existsSync(archive) ? undefined : `no corpus: ${KERNEL} has no units.tar.zst`);

/** What sysfs shows of a livepatch: a folder for each function. */
const SHOWN = 'ls -1 /sys/kernel/livepatch/*/vmlinux 2>/dev/null';

/** Units a boot: each takes some seconds in software emulation, and a guest that is slow must not pass for one that hangs. */
const BATCH = 9;

const trials: Trial[] = [];
const replaced = new Map<string, string[]>();

beforeAll(async () => {
  if (reason !== undefined) return;
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['--zstd', '-xf', archive, '-C', folder]);
  for (const unit of readdirSync(folder).sort()) {
    const expected = join(folder, unit, 'expected.json');
    if (!existsSync(expected)) continue;
    const { verdict } = JSON.parse(readFileSync(expected, 'utf8')) as { verdict: string };
    if (verdict !== 'patchable') continue;
    const out = join(folder, `livepatch-${unit.replaceAll('__', '-')}.ko`);
    const [orig, patched] = ['orig.o', 'patched.o'].map((name) => join(folder, unit, name)) as [string, string];
    const ran = await running([
      'diff',
      orig,
      patched,
      '-o',
      out,
      '--vmlinux',
      image,
      '--run-dir',
      join(folder, 'runs'),
      '--json',
    ]);
    expect(ran.status, `${unit}: ${ran.stdout}`).toBe(0);
    const moduleName = /\0name=([^\0]+)\0/.exec(readFileSync(out).toString('latin1'))![1]!;
    trials.push({ name: unit, moduleName, module: readFileSync(out), run: SHOWN, livepatch: true, sites: [] });
    replaced.set(
      unit,
      resultOf(ran).objects[0]!.functions.changed.map(({ name }) => name),
    );
  }
}, 900_000);

test('there are modules to load', (context) => {
  skipWithout(context, reason);
  expect(trials.length).toBeGreaterThan(30);
  expect(trials.length).toBeLessThanOrEqual(BATCH * BOOTS.length);
});

const BOOTS = [0, 1, 2, 3];

test.for(BOOTS)(
  'part %i: each is loaded, redirects its functions, is taken back and unloaded',
  { timeout: 400_000 },
  async (part, context) => {
    skipWithout(context, reason);
    const own = trials.slice(part * BATCH, (part + 1) * BATCH);
    const {
      log,
      report: told,
      hung,
    } = await boot({
      image,
      initramfs: initramfs(own, folder),
      append: '',
      cpu: 'max',
      cpus: 2,
      folder: join(folder, `boot-${part}`),
    });
    const report = readReport(told);
    expect({ done: report.done, hung }, log.slice(-6000)).toEqual({ done: true, hung: false });
    for (const { name } of own) {
      const { steps, before, after, restored } = report.trials.get(name)!;
      const said = log.replaceAll('\r', '').split(`klpflow trial ${name}\n`)[1]?.split('klpflow trial')[0] ?? '';
      expect({ name, steps }, said).toEqual({ name, steps: ['loaded', 'patched', 'unpatched', 'unloaded'] });
      expect({ name, before, restored }).toEqual({ name, before: '', restored: '' });
      const shown = (after ?? '').split(/\s+/).map((line) => line.replace(/,\d+$/, ''));
      expect(
        shown.some((line) => replaced.get(name)!.includes(line)),
        `${name}: ${after}`,
      ).toBe(true);
    }
    expect(complaints(log)).toEqual([]);
  },
);
