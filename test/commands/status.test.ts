/**
 * What a run directory holds, as `status` and `runs` tell it. What this guards against: a person who deletes what is needed, or waits for what will not be used.
 */
import { closeSync, copyFileSync, openSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RunListing, StatusResult } from '../../src';
import { running, type Ran } from '../support/run-klpflow';
import { filesOf, smallPair, type SmallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let pair: SmallPair;
/** A diff of the pair, and the run directory it left. */
let done: Ran;
const runDir = join(folder, 'run');

const at = (name: string): string => join(folder, name);
const diff = (...flags: string[]): string[] => ['diff', pair.orig, pair.patched, '--run-dir', runDir, ...flags];
const jsonOf = <T>(ran: Pick<Ran, 'stdout'>): T => JSON.parse(ran.stdout) as T;

beforeAll(async () => {
  pair = await smallPair(folder);
  done = await running(diff('--json', '--progress', 'none'));
  expect(done).toMatchObject({ status: 0, stderr: '' });
});

describe('status and runs', () => {
  const status = async (dir: string, ...inputs: string[]): Promise<StatusResult> =>
    jsonOf(await running(['status', ...inputs, '--run-dir', dir, '--json']));

  test('before anything ran: nothing is there, which is no error', async () => {
    const dir = at('not yet');
    expect(await status(dir, pair.orig)).toMatchObject({
      exists: false,
      runDir: dir,
      inputs: [{ path: pair.orig, digest: null, reason: expect.stringContaining('does not exist yet'), records: [] }],
    });
    expect(jsonOf<RunListing>(await running(['runs', '--run-dir', dir, '--json']))).toMatchObject({
      exists: false,
      objects: [],
      pairs: [],
    });
    expect(await running(['runs', '--run-dir', dir])).toMatchObject({
      status: 0,
      stdout: `run directory ${dir}: does not exist yet, the next run makes it\n`,
    });
    expect(readdirSync(folder)).not.toContain('not yet');
  });

  test('as a run goes on: what is there, what is missing, what will not be used and why', async () => {
    const dir = at('watched');
    await running(['scan', pair.orig, '--run-dir', dir]);
    const [orig, patched] = (await status(dir, pair.orig, pair.patched)).inputs;
    expect(orig!.reason).toContain('recognised');
    expect(
      orig!.records.map(({ file, state }) => `${basename(file).replace(/special-.*/, 'special')} ${state}`),
    ).toEqual([expect.stringMatching(/^digest-0-\d+\.pb usable$/), 'special usable', 'table.pb usable']);
    expect(patched).toMatchObject({
      digest: null,
      reason: expect.stringContaining('not read yet as it is now'),
      records: [],
    });

    await running(['diff', pair.orig, pair.patched, '--run-dir', dir]);
    await running(['diff', pair.orig, pair.patched, '--run-dir', dir, '--module', 'nf_tables']);
    const both = await status(dir, pair.orig, pair.patched);
    expect(both.outcomes.map(({ state, options }) => [state, options])).toEqual(
      expect.arrayContaining([
        ['usable', { dialect: 'klp', module: 'vmlinux', allow: [], structSizes: {} }],
        ['usable', { dialect: 'klp', module: 'nf_tables', allow: [], structSizes: {} }],
      ]),
    );

    // Damage, loss, and a file that was touched.
    const table = filesOf(dir).find((path) => path.includes(orig!.digest!) && path.endsWith('table.pb'))!;
    const shard = filesOf(dir).find(
      (path) => path.startsWith('objects') && !path.includes(orig!.digest!) && path.includes('digest-'),
    )!;
    const fd = openSync(join(dir, table), 'r+');
    execFileSync('truncate', ['-s', '-1', join(dir, table)]);
    closeSync(fd);
    rmSync(join(dir, shard));
    const hurt = await status(dir, pair.orig, pair.patched);
    expect(hurt.inputs[0]!.records.find(({ file }) => file === table)!.state).toBe('damaged');
    expect(hurt.inputs[1]!.records.find(({ file }) => file === shard)).toEqual({
      file: shard,
      bytes: 0,
      state: 'absent',
    });

    const touched = at('touched.o');
    copyFileSync(pair.orig, touched);
    await running(['scan', touched, '--run-dir', dir]);
    expect((await status(dir, touched)).inputs[0]!.digest).toBe(orig!.digest);
    utimesSync(touched, new Date(), new Date());
    expect((await status(dir, touched)).inputs[0]).toMatchObject({
      digest: null,
      reason: expect.stringContaining('mtime or ctime differ'),
    });
  });

  test('runs lists objects by content, with the files they were read from', async () => {
    const dir = at('listed');
    await running(['diff', pair.orig, pair.patched, '--run-dir', dir]);
    const listing = jsonOf<RunListing>(await running(['runs', '--run-dir', dir, '--json']));
    expect(listing).toMatchObject({ exists: true, runDir: dir, objects: [{ files: 3 }, { files: 3 }] });
    expect(listing.objects.flatMap(({ paths }) => paths).sort()).toEqual([pair.orig, pair.patched]);
    const [orig, patched] = [(await digestOf(pair.orig))!, (await digestOf(pair.patched))!];
    expect(listing.pairs).toEqual([{ orig, patched, outcomes: 1 }]);
    expect(listing.objects.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(10_000);
    const text = (await running(['runs', '--run-dir', dir])).stdout;
    expect(text).toMatch(new RegExp(`object ${orig} +3 records, .* MB, .* old +${pair.orig}`));
    expect(text).toMatch(/1 outcome$/m);
  });

  test('neither changes anything', async () => {
    const before = filesOf(runDir);
    await status(runDir, pair.orig, pair.patched);
    await running(['runs', '--run-dir', runDir]);
    expect(filesOf(runDir)).toEqual(before);
  });
});

async function digestOf(path: string): Promise<string | null> {
  return jsonOf<StatusResult>(await running(['status', path, '--run-dir', runDir, '--json'])).inputs[0]!.digest;
}
