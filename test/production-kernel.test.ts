/**
 * Real changes in a kernel as hyperscalers build theirs (Linux 7.3: ThinLTO, kCFI with arity, functions split by a profile): exactly the functions
 * that changed, and modules that the independent check finds fine. test/boot/linux-7.3 loads them.
 */
import { copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ObjectDescription, VerifyResult } from '../src/index';
import { verify } from '../src/verify';
import { COMPUTED } from '../src/kernel/kcfi';
import {
  CORPUS,
  PRODUCTION,
  expectedOf,
  kernelFiles,
  objectsOf,
  pairsOf,
  skipWithout,
  unavailable,
  unlike,
  type Expected,
} from './support/corpus';
import { PlainElf } from './support/plain-elf';
import { holds } from './support/premises';
import { EXIT_CODES, klpflow, resultOf, type Ran } from './support/run-klpflow';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();
const missing = unavailable(PRODUCTION, true);
const pairs = missing === undefined ? pairsOf(PRODUCTION) : [];
const modulesOf = (pair: string): Record<string, string[]> => expectedOf(PRODUCTION, pair).modules ?? {};
beforeEach((context) => skipWithout(context, missing));

const out = (pair: string): string => join(folder, `${pair}.ko`);
const diffs = new Map<string, Promise<Ran>>();
let origElf: PlainElf | undefined;

/** The pair's module, or why there is none; each made once, with one run directory for all. */
function diff(pair: string): Promise<Ran> {
  const [first, ...also] = objectsOf(PRODUCTION, pair);
  const { symvers, vmlinux, btf, template } = kernelFiles(PRODUCTION);
  const more = also.flatMap(({ orig, patched }) => ['--also', `${orig}=${patched}`]);
  const files = ['--symvers', symvers, '--vmlinux', vmlinux, '--btf', btf, '--template', template];
  const argv = [
    'diff',
    first!.orig,
    first!.patched,
    ...more,
    '-o',
    out(pair),
    ...files,
    '--run-dir',
    join(folder, 'run'),
    '--json',
  ];
  const running = diffs.get(pair) ?? klpflow([...argv, '--progress', 'json']);
  diffs.set(pair, running);
  return running;
}

function check(pair: string, module: string): VerifyResult {
  return verify({
    module,
    ...kernelFiles(PRODUCTION),
    objects: objectsOf(PRODUCTION, pair).map(({ patched }) => patched),
  });
}

/** A copy of a pair's module with other bytes. */
function damaged(pair: string, change: (bytes: Buffer) => void): string {
  const bytes = readFileSync(out(pair));
  change(bytes);
  const path = join(folder, 'damaged.ko');
  writeFileSync(path, bytes);
  return path;
}

describe.each(pairs.length === 0 ? ['none'] : pairs)('%s', (pair) => {
  // Guards against functions that count as changed because their parts, their numbers or their neighbours moved.
  test('gives exactly the changed functions, the verdict and all reasons', async () => {
    const expected = expectedOf(PRODUCTION, pair);
    const ran = await diff(pair);
    const { verdict, objects, diagnostics, output } = resultOf(ran);
    expect({ verdict, status: ran.status }).toEqual({
      verdict: expected.verdict,
      status: EXIT_CODES[expected.verdict],
    });
    const wanted = {
      ...(existsSync(join(CORPUS, PRODUCTION, 'pairs', pair, 'patched.o.delta.zst')) ? { vmlinux: expected } : {}),
    };
    const byObject = new Map<string, Pick<Expected, 'changed' | 'new'>>(Object.entries(wanted));
    for (const [name, changed] of Object.entries(modulesOf(pair)))
      byObject.set(name.replaceAll('-', '_'), { changed, new: [] });
    expect(objects.map(({ name }) => name)).toEqual([...byObject.keys()]);
    for (const { name, functions } of objects)
      expect(unlike(byObject.get(name)!, functions), name).toEqual({ missing: [], unexpected: [] });
    expect(diagnostics.map(({ code }) => code)).toEqual(expect.arrayContaining(expected.codes));
    for (const premise of expected.premises) {
      const [{ orig, patched }] = objectsOf(PRODUCTION, pair) as [{ orig: string; patched: string }];
      const names = objects[0]!.functions.changed.map((entry) => entry.patchedName ?? entry.name);
      const elves = { orig: (origElf ??= new PlainElf(orig)), patched: new PlainElf(patched) };
      expect(holds(premise, elves, names), `premise ${premise}`).toBe(true);
    }
    expect({ written: existsSync(out(pair)), told: output !== null }).toEqual({
      written: verdict === 'patchable',
      told: verdict === 'patchable',
    });
  });
});

const patchable = pairs.filter((pair) => expectedOf(PRODUCTION, pair).verdict === 'patchable');

test('there are pairs of all sorts', () => {
  // Otherwise nothing above or below runs, and nothing fails.
  const verdicts = new Set(pairs.map((pair) => expectedOf(PRODUCTION, pair).verdict));
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

// Guards against an object of a folder that is left out, and against two ways of asking for one livepatch that give two.
test('two folders give the same module as the list of their pairs', async () => {
  const pair = 'module-and-vmlinux';
  await diff(pair);
  const [a, b] = [join(folder, 'orig'), join(folder, 'patched')];
  const [vmlinux, module] = objectsOf(PRODUCTION, pair) as [
    { orig: string; patched: string },
    { orig: string; patched: string },
  ];
  for (const [root, side] of [
    [a, 'orig'],
    [b, 'patched'],
  ] as const) {
    mkdirSync(join(root, 'samples/livepatch'), { recursive: true });
    linkOrCopy(vmlinux[side], join(root, 'vmlinux.o'));
    linkOrCopy(module[side], join(root, 'samples/livepatch/livepatch-shadow-mod.o'));
  }
  const { symvers, vmlinux: list, btf, template } = kernelFiles(PRODUCTION);
  const path = join(folder, 'of-folders.ko');
  const files = [
    '--symvers',
    symvers,
    '--vmlinux',
    list,
    '--btf',
    btf,
    '--template',
    template,
    '--name',
    'module_and_vmlinux',
  ];
  const ran = await klpflow([
    'diff',
    a,
    b,
    '-o',
    path,
    ...files,
    '--run-dir',
    join(folder, 'run'),
    '--json',
    '--progress',
    'json',
  ]);
  expect(ran.status, ran.stdout + ran.stderr).toBe(0);
  expect(readFileSync(path).equals(readFileSync(out(pair)))).toBe(true);
});

/** Another name for a file of 143 MB, where the file system allows that. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

// Guards against a kernel that is taken for another than it is.
test('doctor tells what kernel the object is of, and what can be made of it', async () => {
  const { orig } = objectsOf(PRODUCTION, 'string-change')[0]!;
  const module = objectsOf(PRODUCTION, 'module-and-vmlinux')[1]!.orig;
  const told = async (path: string): Promise<ObjectDescription> =>
    (JSON.parse((await klpflow(['doctor', path, '--json'])).stdout) as { object: ObjectDescription }).object;
  expect(await told(orig)).toMatchObject({
    kind: 'vmlinux',
    name: 'vmlinux',
    processor: 'x86-64',
    release: '7.3.4 SMP preempt mod_unload modversions',
    compiler: expect.stringContaining('clang version 22') as string,
    lto: 'Clang',
    cfi: 'kCFI with arity, FineIBT possible',
    profile: 'functions sorted by a profile, and split',
    unwinder: 'ORC',
    ibt: true,
    can: expect.arrayContaining(['become a finished module (-o FILE.ko)']) as string[],
  });
  expect(await told(module)).toMatchObject({ kind: 'module', name: 'livepatch_shadow_mod', release: null });
});
