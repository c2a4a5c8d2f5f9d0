/** The run directory grew without end and showed hashes: who looks for the space on a disk must find what takes it, by the files that people know. */
import { readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RunListing } from '../../src/index';
import { running } from '../support/run-klpflow';
import { smallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

test('runs: files by name, sizes, ages and the total of all there is', async () => {
  const folder = tempFolder();
  const { orig, patched } = await smallPair(join(folder, 'pair'));
  const runDir = join(folder, 'run');
  expect((await running(['diff', orig, patched, '--run-dir', runDir, '--progress', 'none'])).status).toBe(0);
  const { stdout } = await running(['runs', '--run-dir', runDir]);
  expect(stdout).toMatch(new RegExp(`object [^ ]+  \\d+ records?, \\d+\\.\\d MB, \\d+ minutes? old  ${orig}$`, 'm'));
  expect(stdout).toContain(`pair   ${orig} ${patched}  1 outcome\n`);
  const listing = JSON.parse((await running(['runs', '--run-dir', runDir, '--json'])).stdout) as RunListing;
  const all = readdirSync(runDir, { recursive: true, encoding: 'utf8' }).map((name) => statSync(join(runDir, name)));
  expect(listing.bytes).toBe(all.filter((file) => file.isFile()).reduce((sum, { size }) => sum + size, 0));
  expect(listing.bytes).toBeGreaterThan(listing.objects.reduce((sum, { bytes }) => sum + bytes, 0));
});

describe('--prune', () => {
  /** A run directory with the scans of two pairs, of which the first was used long ago, by its files' times. */
  async function used(): Promise<{ runDir: string; old: string; pair: string[] }> {
    const folder = tempFolder();
    const runDir = join(folder, 'run');
    const [first, second] = [
      await smallPair(join(folder, 'first')),
      await smallPair(join(folder, 'second'), 300, { immediates: 1 }),
    ];
    const diff = (...words: string[]) => running(['diff', ...words, '--run-dir', runDir, '--progress', 'none']);
    expect((await diff(first.orig, first.patched)).status).toBe(0);
    const long = new Date(Date.now() - 100 * 24 * 3600 * 1000);
    for (const name of readdirSync(runDir, { recursive: true, encoding: 'utf8' }).reverse())
      if (name.includes('/')) utimesSync(join(runDir, name), long, long);
    const { objects } = await list(runDir);
    expect((await diff(second.orig, second.patched)).status).toBe(0);
    const old = objects.find(({ paths }) => paths.includes(first.patched))!.digest;
    return { runDir, old, pair: [first.orig, first.patched] };
  }
  const list = async (runDir: string, ...words: string[]): Promise<RunListing> =>
    JSON.parse((await running(['runs', '--run-dir', runDir, '--json', ...words])).stdout) as RunListing;

  test('--older takes what was not used for so long; a later run makes it again', async () => {
    const { runDir, old, pair } = await used();
    const before = await list(runDir);
    expect(before.objects.map(({ digest }) => digest)).toContain(old);
    const after = await list(runDir, '--prune', '--older', '30');
    expect(after.pruned!.entries).toBeGreaterThan(0);
    expect(after.objects.map(({ digest }) => digest)).not.toContain(old);
    // ORIG of both pairs is one content: using it again keeps it.
    expect(after.objects.length).toBeGreaterThan(0);
    expect(after.bytes).toBe(before.bytes - after.pruned!.bytes);
    expect((await running(['diff', ...pair, '--run-dir', runDir, '--progress', 'none'])).status).toBe(0);
  });

  test('--keep leaves what was used last, --prune alone nothing; without --prune they are no flags', async () => {
    const { runDir, old } = await used();
    const whole = await list(runDir);
    const kept = await list(runDir, '--prune', '--keep', String(whole.bytes - 1000));
    expect(kept.objects.map(({ digest }) => digest)).not.toContain(old);
    expect(kept.objects.length).toBeGreaterThan(0);
    const none = await list(runDir, '--prune');
    expect([none.objects, none.pairs, none.pruned!.left]).toEqual([[], [], 0]);
    expect((await running(['runs', '--run-dir', runDir, '--keep', '1G'])).stderr).toMatch(/error usage/);
  });

  test('a run keeps to the ceiling, says so, and never takes what may be in use', async () => {
    const { runDir, old } = await used();
    const { orig, patched } = await smallPair(join(tempFolder(), 'third'), 300, { strings: 1 });
    const again = (...words: string[]) =>
      running(['diff', orig, patched, '--run-dir', runDir, '--progress', 'none', ...words], {
        env: { KLPFLOW_CACHE_LIMIT: '0' },
      });
    utimesSync(join(runDir, 'checked'), new Date(0), new Date(0));
    const { stderr, status } = await again();
    expect(status).toBe(0);
    expect(stderr).toMatch(/^run directory .* are removed, .* stay \(KLPFLOW_CACHE_LIMIT\)$/m);
    const { objects } = await list(runDir);
    expect(objects.map(({ digest }) => digest)).not.toContain(old);
    // What was used just now stays, whatever the ceiling; nor is it looked at again soon.
    expect(objects.flatMap(({ paths }) => paths)).toContain(patched);
    expect((await again('--fresh')).stderr).not.toContain('removed');
  });
});
