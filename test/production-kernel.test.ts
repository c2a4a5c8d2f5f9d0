/**
 * Real changes in a kernel as hyperscalers build theirs (Linux 7.3: ThinLTO, kCFI with arity, functions split by a profile): exactly the functions
 * that changed, and modules that the independent check finds fine. test/boot/linux-7.3 loads them.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { verify, type VerifyResult } from '../src/index';
import { COMPUTED } from '../src/kernel/kcfi';
import {
  PRODUCTION,
  expectedOf,
  kernelFiles,
  pairsOf,
  skipWithout,
  unavailable,
  unlike,
  unpack,
} from './support/corpus';
import { PlainElf } from './support/plain-elf';
import { holds } from './support/premises';
import { EXIT_CODES, klpflow, resultOf, type Ran } from './support/run-klpflow';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();
const missing = unavailable(PRODUCTION, true);
const pairs = missing === undefined ? pairsOf(PRODUCTION) : [];
const ofVmlinux = pairs.filter((pair) => Object.keys(expectedOf(PRODUCTION, pair).modules ?? {}).length === 0);
beforeEach((context) => skipWithout(context, missing));

const out = (pair: string): string => join(folder, `${pair}.ko`);
const diffs = new Map<string, Promise<Ran>>();

/** The pair's module, or why there is none; each made once, with one run directory for all. */
function diff(pair: string): Promise<Ran> {
  const { orig, patched } = unpack(PRODUCTION, pair);
  const { symvers, vmlinux, btf, template } = kernelFiles(PRODUCTION);
  const files = ['--symvers', symvers, '--vmlinux', vmlinux, '--btf', btf, '--template', template];
  const argv = ['diff', orig, patched, '-o', out(pair), ...files, '--run-dir', join(folder, 'run'), '--json'];
  const running = diffs.get(pair) ?? klpflow([...argv, '--progress', 'json']);
  diffs.set(pair, running);
  return running;
}

function check(pair: string, module: string): VerifyResult {
  return verify({ module, ...kernelFiles(PRODUCTION), objects: [unpack(PRODUCTION, pair).patched] });
}

/** A copy of a pair's module with other bytes. */
function damaged(pair: string, change: (bytes: Buffer) => void): string {
  const bytes = readFileSync(out(pair));
  change(bytes);
  const path = join(folder, 'damaged.ko');
  writeFileSync(path, bytes);
  return path;
}

describe.each(ofVmlinux.length === 0 ? ['none'] : ofVmlinux)('%s', (pair) => {
  // Guards against functions that count as changed because their parts, their numbers or their neighbours moved.
  test('gives exactly the changed functions, the verdict and all reasons', async () => {
    const { orig, patched, expected } = unpack(PRODUCTION, pair);
    const elves = { orig: new PlainElf(orig), patched: new PlainElf(patched) };
    const ran = await diff(pair);
    const { verdict, objects, diagnostics, output } = resultOf(ran);
    expect({ verdict, status: ran.status }).toEqual({
      verdict: expected.verdict,
      status: EXIT_CODES[expected.verdict],
    });
    const { changed, new: added } = objects[0]!.functions;
    const names = changed.map(({ name, patchedName }) => patchedName ?? name);
    for (const premise of expected.premises) expect(holds(premise, elves, names), `premise ${premise}`).toBe(true);
    expect(unlike(expected, { changed, new: added })).toEqual({ missing: [], unexpected: [] });
    expect(diagnostics.map(({ code }) => code)).toEqual(expect.arrayContaining(expected.codes));
    expect({ written: existsSync(out(pair)), told: output !== null }).toEqual({
      written: verdict === 'patchable',
      told: verdict === 'patchable',
    });
  });
});

const patchable = ofVmlinux.filter((pair) => expectedOf(PRODUCTION, pair).verdict === 'patchable');

test('there are pairs of all sorts', () => {
  // Otherwise nothing above or below runs, and nothing fails.
  const verdicts = new Set(ofVmlinux.map((pair) => expectedOf(PRODUCTION, pair).verdict));
  expect([...verdicts].sort()).toEqual(['patchable', 'refused', 'unchanged']);
  expect(patchable.length).toBeGreaterThan(3);
});

test.each(patchable.length === 0 ? ['none'] : patchable)(
  '%s gives a module that the independent check finds fine',
  async (pair) => {
    await diff(pair);
    const { ok, diagnostics } = check(pair, out(pair));
    expect(diagnostics.filter(({ severity }) => severity !== 'note')).toEqual([]);
    expect(ok).toBe(true);
  },
);

describe('the independent check of type hashes', () => {
  const hash = (value: number): Buffer => Buffer.from([0xb8, value, value >>> 8, value >>> 16, value >>> 24]);

  // The kernel that loads such a module dies in its call of init_module.
  test('sees another hash before init_module than other modules have', async () => {
    await diff('indirect-call');
    const module = damaged('indirect-call', (bytes) => {
      const at = bytes.indexOf(hash(COMPUTED.plain.init));
      expect(at).toBeGreaterThan(0);
      bytes[at + 2]! ^= 1;
    });
    expect(check('indirect-call', module).diagnostics.map(({ code, where }) => `${code} ${where.symbol}`)).toContain(
      'verify-type-hash init_module',
    );
  });

  // FineIBT rewrites what `.cfi_sites` names: a preamble that it leaves as it is traps at the first call.
  test('sees a preamble that .cfi_sites does not name', async () => {
    await diff('indirect-call');
    // The table under another name: nothing lists any preamble then, though the kernel has the table.
    const module = damaged('indirect-call', (bytes) => {
      let renamed = 0;
      for (let at = bytes.indexOf('.cfi_sites\0'); at >= 0; at = bytes.indexOf('.cfi_sites\0', at + 1), renamed++)
        bytes.write('x', at + 1);
      expect(renamed).toBeGreaterThan(0);
    });
    const found = check('indirect-call', module).diagnostics.filter(({ code }) => code === 'verify-missing-entry');
    expect(found.map(({ message }) => message).join('\n')).toMatch(/__cfi_uptime_extra has no entry in \.cfi_sites/);
  });
});
