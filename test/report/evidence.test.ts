/**
 * What the first screen claims about a livepatch. A module was called good with another kernel's symvers and no word of it: whoever reads `proven`
 * must be able to rely on it, and whoever reads a command must be able to paste it.
 */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import type { DiffResult } from '../../src/index';
import { evidenceOf, type Seen } from '../../src/pipeline/evidence';
import type { KernelSources } from '../../src/pipeline/kernel';
import type { ImageFacts } from '../../src/pipeline/types';
import { renderEvidence } from '../../src/report/evidence';
import { nextStep, quoted } from '../../src/report/next';

const IMAGE = {
  path: '/boot/vmlinuz',
  build: { release: '6.12.0', vermagic: '6.12.0 SMP' },
  types: { path: '/run/btf', size: 1, digest: '' },
} as unknown as ImageFacts;
const file = (path: string): NonNullable<KernelSources['symvers']> => ({ path }) as never;
const NOTHING: KernelSources = {
  listing: null,
  symvers: file('S'),
  btf: 'B',
  image: null,
  linked: false,
  diagnostics: [],
};
const SEEN: KernelSources = { ...NOTHING, listing: file('/boot/vmlinuz'), image: IMAGE };
const KO = { path: 'x.ko', format: 'ko' as const };
const symbol = (evidence: string): DiffResult['objects'][number]['klpSymbols'][number] => ({
  name: 'f',
  object: 'vmlinux',
  sympos: 0,
  evidence,
});
const vmlinux = [{ name: 'vmlinux', klpSymbols: [symbol('unique in ORIG; the kernel was not seen')] }];

const seenOf = (
  objects: Seen['objects'],
  modules: Array<[string, string]> = [],
  census: Seen['census'] = new Map(),
): Seen => ({
  objects,
  modules: new Map(modules),
  census,
});

test('nothing is proven where no file of the running kernel was seen', () => {
  const { release, code, positions, versions, layouts } = evidenceOf(KO, NOTHING, seenOf(vmlinux));
  expect(release).toBeNull();
  expect([code, positions, versions, layouts].map((proof) => proof!.proven)).toEqual([false, false, false, false]);
  expect(positions.by).toMatch(/^1 of 1 symbol by ORIG alone/);
});

test('how many functions of ORIG run is told as it was counted', () => {
  const of = (counts: object): string =>
    evidenceOf(
      KO,
      SEEN,
      seenOf(
        vmlinux,
        [],
        new Map([
          [
            'vmlinux',
            { functions: 5000, equal: 5000, differing: 0, missing: 0, overridden: 0, first: null, ...counts },
          ],
        ]),
      ),
    ).code.by;
  expect(of({})).toMatch(/; so do all 5,000 of its functions$/);
  // Whoever reads "all" of a kernel that differs would load it.
  expect(of({ equal: 4990, differing: 7, missing: 2, overridden: 1, first: 'ima_init' })).toMatch(
    /; so do 4,990 of all 5,000 functions \(7 differ, 2 are missing there, 1 are weak and overridden; the first is ima_init\)$/,
  );
});

test('the image proves all of vmlinux, and of a module neither code nor position', () => {
  const seen = [{ name: 'vmlinux', klpSymbols: [symbol('unique in the running kernel')] }];
  const all = evidenceOf(KO, SEEN, seenOf(seen));
  expect(all.release).toEqual({ name: '6.12.0', from: '/boot/vmlinuz' });
  expect([all.code, all.positions, all.versions, all.layouts].map((proof) => proof!.proven)).toEqual([
    true,
    true,
    true,
    true,
  ]);
  const module = [{ name: 'ext4', klpSymbols: [symbol('unique in ext4; the loaded module was not seen')] }];
  const other = evidenceOf(KO, SEEN, seenOf([...seen, ...module]));
  expect([other.code.proven, other.positions.proven]).toEqual([false, false]);
  expect(other.code.by).toContain('ext4');
  const given = evidenceOf(KO, SEEN, seenOf([...seen, ...module], [['ext4', '/lib/ext4.ko']]));
  expect(given.code).toEqual({ proven: true, census: {}, by: expect.stringContaining('/boot/vmlinuz, /lib/ext4.ko') });
});

test('an object has neither versions nor layouts to prove', () => {
  const { versions, layouts } = evidenceOf({ path: 'x.o', format: 'klp' }, SEEN, seenOf(vmlinux));
  expect([versions, layouts]).toEqual([null, null]);
});

test("the block names the module by its own name, not its file's", () => {
  const objects = [
    { name: 'vmlinux', functions: { ignored: [{ name: 'g', class: 'line' }] }, data: { ignored: [] } },
  ] as unknown as DiffResult['objects'];
  const output = { path: '/a b/fix.ko', format: 'ko', bytes: 1, sha256: '', module: 'other' } as const;
  const text = renderEvidence(evidenceOf(KO, SEEN, seenOf(vmlinux)), { output, objects }).join('\n');
  expect(text).toContain("insmod '/a b/fix.ko'");
  expect(text).toContain('/sys/kernel/livepatch/other/transition');
  expect(text).toContain('rmmod other');
  expect(text).toContain('ignored    1 line');
  expect(text).not.toContain('undefined');
});

test('what to do next can be pasted into a shell, whatever paths are called', () => {
  const path = "/tmp/it's a $HOME;path";
  const result = {
    output: { path, format: 'ko' },
    objects: [{ name: 'vmlinux' }],
  } as unknown as DiffResult;
  const next = nextStep(result, { orig: 'a', patched: 'b c', vmlinux: '/boot/vmlinuz' })!;
  const words = execFileSync('sh', ['-c', `set -- ${next}; printf '%s\\n' "$@"`], { encoding: 'utf8' })
    .trim()
    .split('\n');
  expect(words.slice(words.indexOf('verify'))).toEqual([
    'verify',
    path,
    '--vmlinux',
    '/boot/vmlinuz',
    '--object',
    'b c',
  ]);
  expect(quoted('plain/path-1.o')).toBe('plain/path-1.o');
});
