/**
 * Real images against what their kernels say of themselves: `/proc/kallsyms` of the booted one, System.map and Module.symvers of
 * the build. What is right in 154,685 of 154,686 lines would still be a wrong symbol in a livepatch.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KernelImage, kallsymsText, symversText } from '../../src/kernel-image';
import { readShipped } from '../../src/verify/shipped';
import { CORPUS, skipWithout, unavailable } from '../support/corpus';

const IMAGES: Array<[kernel: string, image: string, wrappers: string[]]> = [
  ['debian-6.12-gcc', 'vmlinuz', ['bzImage', 'zstd']],
  ['linux-7.2-thinlto', 'bzImage', ['bzImage', 'gzip']],
  ['linux-7.3-cfi-afdo', 'bzImage', ['bzImage', 'gzip']],
  ['linux-7.3-arm64', 'Image.gz', ['gzip', 'Image']],
];

const unpacked = (kernel: string, file: string): string =>
  execFileSync('zstd', ['-dc', join(CORPUS, kernel, file)], { maxBuffer: 1 << 28 }).toString('latin1');

describe.each(IMAGES)('%s', (kernel, file, wrappers) => {
  const missing =
    unavailable(kernel, true) ??
    (existsSync(join(CORPUS, kernel, file)) ? undefined : `no corpus: ${kernel} has no ${file}`);

  test('the symbol list, exports with versions and the configuration are those of the build', async (context) => {
    skipWithout(context, missing);
    const image = await KernelImage.open(join(CORPUS, kernel, file));
    expect(image.wrappers).toEqual(wrappers);

    const exports = symversText(image.exports)
      .split('\n')
      .filter((line) => line !== '')
      .sort();
    const symvers = unpacked(kernel, 'Module.symvers.zst')
      .split('\n')
      .filter((line) => line.split('\t')[2] === 'vmlinux')
      .sort();
    expect(symvers.length).toBeGreaterThan(9000);
    expect(exports).toEqual(symvers);

    const list = kallsymsText(image.symbols).toString('latin1').trimEnd().split('\n');
    if (existsSync(join(CORPUS, kernel, 'kallsyms.txt.zst'))) {
      const booted = unpacked(kernel, 'kallsyms.txt.zst').trimEnd().split('\n');
      expect(booted.length).toBeGreaterThan(150_000);
      expect(list.length).toBe(booted.length);
      expect(list.filter((line, i) => line !== booted[i])).toEqual([]);
    }
    if (existsSync(join(CORPUS, kernel, 'System.map.zst'))) {
      // System.map is in the order of nm, and has absolute symbols that the list leaves out.
      const map = unpacked(kernel, 'System.map.zst')
        .trimEnd()
        .split('\n')
        .filter((line) => !/ A /.test(line));
      expect(map.length).toBeGreaterThan(80_000);
      expect(list.filter((line) => !/ A /.test(line)).sort()).toEqual(map.sort());
    }
    if (image.config !== null) expect(image.config).toBe(readFileSync(join(CORPUS, kernel, 'config'), 'utf8'));
    expect(image.build.buildId).toMatch(/^[0-9a-f]{40}$/);
    expect(image.ftraceSites!.length).toBeGreaterThan(30_000);

    // The verifier, which shares no reader with the rest, says the same.
    const path = join(CORPUS, kernel, file);
    const shipped = await readShipped(path);
    const { names, addresses, count } = image.symbols;
    expect(shipped?.list.length).toBe(count);
    const unlike = shipped!.list.filter(
      ({ name, letter, address }, i) =>
        name !== image.symbols.name(i) || letter.charCodeAt(0) !== names.letter[i] || address !== addresses[i],
    );
    expect(unlike).toEqual([]);
    expect(new Map(image.exports.map(({ name, ...found }) => [name, found]))).toEqual(shipped!.exports);
    expect(shipped!.vermagic).toBe(image.build.vermagic);
  });
});

test("6.12's BTF is what its kernel shows", async (context) => {
  skipWithout(context, unavailable('debian-6.12-gcc', true));
  const image = await KernelImage.open(join(CORPUS, 'debian-6.12-gcc', 'vmlinuz'));
  const shown = execFileSync('zstd', ['-dc', join(CORPUS, 'debian-6.12-gcc', 'types.btf.zst')], { maxBuffer: 1 << 28 });
  expect(shown.equals(image.btf!)).toBe(true);
});
