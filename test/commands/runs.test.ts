/** The run directory grew without end and showed hashes: who looks for the space on a disk must find what takes it, by the files that people know. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
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
