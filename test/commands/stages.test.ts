/**
 * The commands of single stages, on the run directory that a diff left. What this guards against: another answer, or another exit code, than the diff's.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Explanation } from '../../src';
import { errorOf, resultOf, running, type Ran } from '../support/run-klpflow';
import { smallPair, type SmallPair } from '../support/small-pair';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let pair: SmallPair;
/** A diff of the pair, and the run directory it left. */
let done: Ran;
const runDir = join(folder, 'run');

const diff = (...flags: string[]): string[] => ['diff', pair.orig, pair.patched, '--run-dir', runDir, ...flags];
const jsonOf = <T>(ran: Pick<Ran, 'stdout'>): T => JSON.parse(ran.stdout) as T;

beforeAll(async () => {
  pair = await smallPair(folder);
  done = await running(diff('--json', '--progress', 'none'));
  expect(done).toMatchObject({ status: 0, stderr: '' });
});

describe('the other commands', () => {
  test('explain: one symbol, both sides; a name that neither has is an error', async () => {
    const [changed] = resultOf(done).objects[0]!.functions.changed;
    const ran = await running([
      'explain',
      pair.orig,
      pair.patched,
      changed!.name,
      '--run-dir',
      runDir,
      '--json',
      '--progress',
      'none',
    ]);
    expect(ran.status).toBe(0);
    const explained = jsonOf<Explanation & { schema: string }>(ran);
    expect(explained).toMatchObject({
      schema: 'klpflow/explain@1',
      name: changed!.name,
      kind: 'function',
      verdict: { status: 'changed', class: changed!.class, first: changed!.first },
    });
    expect(explained.rows.some(({ same }) => !same)).toBe(true);
    const none = await running(['explain', pair.orig, pair.patched, 'no_such_function', '--run-dir', runDir, '--json']);
    expect(none.status).toBe(1);
    expect(errorOf(none)).toMatchObject({
      code: 'symbol-not-found',
      message: expect.stringContaining('no_such_function'),
    });
  });

  test('compare: every difference with its class; 3 where there is none', async () => {
    const ran = await running([
      'compare',
      pair.orig,
      pair.patched,
      '--run-dir',
      runDir,
      '--json',
      '--progress',
      'none',
    ]);
    expect(ran.status).toBe(0);
    const { schema, symbols } = jsonOf<{ schema: string; symbols: Array<{ name: string; status: string }> }>(ran);
    expect(schema).toBe('klpflow/compare@1');
    expect(symbols.filter((symbol) => symbol.status === 'changed').map(({ name }) => name)).toEqual(
      resultOf(done).objects[0]!.functions.changed.map(({ name }) => name),
    );
    expect(await running(['compare', pair.orig, pair.orig, '--run-dir', runDir])).toMatchObject({
      status: 3,
      stdout: expect.stringMatching(/^nothing differs\n/),
    });
  });

  test('scan and correlate: numbers, exit code 0', async () => {
    const scan = await running(['scan', pair.orig, '--run-dir', runDir, '--json', '--progress', 'none']);
    expect(scan).toMatchObject({ status: 0, stderr: '' });
    expect(jsonOf(scan)).toMatchObject({
      schema: 'klpflow/scan@1',
      object: { path: pair.orig, bytes: readFileSync(pair.orig).length, machine: 62, littleEndian: true },
    });
    const correlate = await running([
      'correlate',
      pair.orig,
      pair.patched,
      '--run-dir',
      runDir,
      '--json',
      '--progress',
      'none',
    ]);
    expect(correlate).toMatchObject({ status: 0, stderr: '' });
    expect(jsonOf<{ paired: Record<string, number> }>(correlate).paired['name']).toBeGreaterThan(100);
  });
});
