/**
 * Is the vmlinux.o at hand the kernel that runs? Each of its functions is looked for in the image, and the numbers stand in the evidence block: a rebuild
 * that is nearly the shipped kernel must not look like it. The silent failures: functions that are not counted, one that differs and counts as
 * equal, a run that was killed between its records and whose next report says less.
 */
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ElfObject } from '../../src/elf';
import { CORPUS, kernelFiles, skipWithout, unavailable, unpack, type Kernel } from '../support/corpus';
import { klpflow, resultOf } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const THINLTO = 'linux-7.2-thinlto';
const DEBIAN = 'debian-6.12-gcc';

/** The evidence for the code of a livepatch of `orig`. */
async function codeOf(
  kernel: Kernel,
  image: string,
  objects?: readonly [orig: string, patched: string],
): Promise<{ by: string; census: Record<string, object> }> {
  const pair = unpack(kernel, 'cmdline-marker');
  const ran = await klpflow([
    ...['diff', ...(objects ?? [pair.orig, pair.patched]), '-o', join(folder, 'livepatch-x.ko')],
    ...['--vmlinux', join(CORPUS, kernel, image), '--btf', kernelFiles(kernel).btf],
    ...['--run-dir', join(folder, 'runs'), '--json'],
  ]);
  const { evidence } = resultOf(ran);
  expect(evidence, ran.stdout).not.toBeNull();
  return evidence!.code;
}

/** A copy of an object whose function begins with another byte than endbr64 has, in both builds alike. */
function withOtherEntry(path: string, name: string, copy: string): string {
  const bytes = readFileSync(path);
  const object = ElfObject.open(path);
  const section = Array.from({ length: object.sectionCount }, (_, i) => i).find(
    (i) => object.name(i) === `.text.${name}`,
  )!;
  const entry = Buffer.from(object.content(section)).indexOf('f30f1efa', 'hex');
  expect(entry).toBeGreaterThanOrEqual(0);
  bytes[object.offset(section) + entry]! ^= 1;
  writeFileSync(join(folder, copy), bytes);
  return join(folder, copy);
}

test('of the kernel itself all functions are found, of a copy with one byte changed all but that one', {
  timeout: 120_000,
}, async (context) => {
  skipWithout(context, unavailable(THINLTO, true));
  const { orig, patched } = unpack(THINLTO, 'cmdline-marker');
  const { by, census } = await codeOf(THINLTO, 'bzImage');
  const { functions } = census['vmlinux'] as { functions: number };
  // A ThinLTO kernel of this configuration has some 50,000.
  expect(functions).toBeGreaterThan(45_000);
  expect(census['vmlinux']).toEqual({
    functions,
    equal: functions,
    differing: 0,
    missing: 0,
    overridden: 0,
    first: null,
  });
  expect(by).toContain(`so do all ${functions.toLocaleString('en-US')} of its functions`);

  const copies = [
    withOtherEntry(orig, 'uptime_proc_show', 'orig.o'),
    withOtherEntry(patched, 'uptime_proc_show', 'patched.o'),
  ] as const;
  const other = await codeOf(THINLTO, 'bzImage', copies);
  expect(other.census['vmlinux']).toEqual({
    functions,
    equal: functions - 1,
    differing: 1,
    missing: 0,
    overridden: 0,
    first: 'uptime_proc_show',
  });
  for (const copy of copies) rmSync(copy);
});

test("a rebuild of Debian's kernel shows where it is not the shipped one, and says so again after a kill", {
  timeout: 120_000,
}, async (context) => {
  skipWithout(context, unavailable(DEBIAN, true));
  const first = await codeOf(DEBIAN, 'vmlinuz');
  const counts = first.census['vmlinux'] as { functions: number; equal: number; differing: number; first: string };
  expect(counts.differing).toBeGreaterThan(0);
  expect(counts.equal + counts.differing).toBe(counts.functions);
  // The release string is compiled into this one.
  expect(first.by).toMatch(/so do [\d,]+ of all [\d,]+ functions \(\d+ differ; the first is \w+\)/);

  const objects = join(folder, 'runs', 'objects');
  const records = readdirSync(objects).flatMap((digest) =>
    readdirSync(join(objects, digest))
      .filter((name) => name.startsWith('census-'))
      .map((name) => join(objects, digest, name)),
  );
  expect(records.length).toBeGreaterThan(0);
  for (const record of records) rmSync(record);
  expect(await codeOf(DEBIAN, 'vmlinuz')).toEqual(first);
});
