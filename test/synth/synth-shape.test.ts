import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { SHAPES, measureObject, writePair, type Shape } from '../../src/synth';
import { isShape } from '../../src/synth/shape';
import { distributionOf, valueAt } from '../../src/synth/shape/distribution';
import { ARM64, KERNELS, pairsOf, skipWithout, unavailable, unpack } from '../support/corpus';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const FUNCTIONS = 4000;

/** Within a share of the wanted value, or within a number where the value itself is small. */
function near(found: number, wanted: number, share: number, slack: number): boolean {
  return Math.abs(found - wanted) <= Math.max(share * wanted, slack);
}

/** What of a shape another does not have, within the tolerance. */
function unlike(wanted: Shape, found: Shape, share: number): string[] {
  const complaints: string[] = [];
  const compare = (what: string, from: number, to: number, slack: number, within = share): void => {
    if (!near(to, from, within, slack)) complaints.push(`${what}: ${to} for ${from}`);
  };
  for (const key of ['size', 'relas', 'localsPerUnit'] as const) {
    const [from, to] = [wanted.functions[key], found.functions[key]];
    compare(`${key} mean`, from.mean, to.mean, 1);
    // A quarter, the median, three quarters and the tail.
    for (const i of [5, 7, 9, 11, 12]) compare(`${key} at ${i}`, from.at[i]!, to.at[i]!, 16, 0.3);
  }
  compare('rank correlation', wanted.functions.sizeToRelas, found.functions.sizeToRelas, 0.15);
  for (const [what, from, to] of [
    ['scopes', wanted.functions.per1000, found.functions.per1000],
    ['places', wanted.functions.placed, found.functions.placed],
    ['references', wanted.references, found.references],
    ['sites', wanted.sites, found.sites],
    ['totals', wanted.totals, found.totals],
    ['hashes', { all: wanted.typeHashes ?? 0 }, { all: found.typeHashes ?? 0 }],
  ] as ReadonlyArray<readonly [string, Record<string, number>, Record<string, number>]>) {
    for (const key of Object.keys(from)) compare(`${what} ${key}`, from[key]!, to[key]!, 30);
  }
  compare('duplicates', wanted.functions.duplicates.per1000, found.functions.duplicates.per1000, 10, 0.35);
  for (const kind of ['data', 'bss', 'rodata'] as const) {
    compare(`${kind} objects`, wanted.objects[kind].per1000, found.objects[kind].per1000, 30);
    compare(`${kind} relas`, wanted.objects[kind].relas.mean, found.objects[kind].relas.mean, 0.5, 0.35);
  }
  compare('strings', wanted.strings.per1000, found.strings.per1000, 50, 0.3);
  compare('string length', wanted.strings.length.mean, found.strings.length.mean, 3);
  return complaints;
}

describe.each(Object.entries(SHAPES))('a synthetic kernel of the shape %s', (name, shape) => {
  let found: Shape;
  beforeAll(async () => {
    const [orig, patched] = [join(folder, `${name}-orig.o`), join(folder, `${name}-patched.o`)];
    await writePair({ functions: FUNCTIONS, seed: 3, changes: {}, shape }, orig, patched);
    found = measureObject(orig);
  });

  it('measures like the kernel that the shape comes from', () => {
    expect(found.counts.functions).toBeGreaterThan(FUNCTIONS);
    expect(unlike(shape, found, 0.2)).toEqual([]);
  });

  it('and not like the others: the comparison can tell them apart', () => {
    for (const [another, other] of Object.entries(SHAPES))
      if (another !== name) expect(unlike(other, found, 0.2).length, another).toBeGreaterThan(3);
  });
});

it('a distribution gives back the numbers that it was made of', () => {
  const values = Array.from({ length: 10_000 }, (_, i) => Math.round(1.001 ** i));
  const distribution = distributionOf(values);
  const drawn = Array.from({ length: 10_000 }, (_, i) => valueAt(distribution, (i + 0.5) / 10_000));
  const mean = drawn.reduce((sum, value) => sum + value, 0) / drawn.length;
  expect(near(mean, distribution.mean, 0.1, 0)).toBe(true);
  expect(valueAt(distribution, 0.5)).toBe(distribution.at[7]);
});

it('a file that is no shape is not taken for one', () => {
  const shape = SHAPES['linux-7.2-thinlto']!;
  expect(isShape(JSON.parse(JSON.stringify(shape)))).toBe(true);
  expect(isShape({ ...shape, references: { ...shape.references, call: 'many' } })).toBe(false);
  expect(isShape({ ...shape, functions: { ...shape.functions, size: { ...shape.functions.size, at: [1] } } })).toBe(
    false,
  );
  expect(isShape({ ...shape, processor: 'aarch64', typeHashes: 800 })).toBe(true);
  expect(isShape({ ...shape, processor: 'pdp11' })).toBe(false);
  expect(isShape({ ...shape, typeHashes: 'most' })).toBe(false);
  expect(isShape(null)).toBe(false);
});

describe.each([...KERNELS, ARM64] as const)('%s', (kernel) => {
  it('is what the shape of its name was measured from', (context) => {
    skipWithout(context, unavailable(kernel, true));
    expect(measureObject(unpack(kernel, pairsOf(kernel)[0]!).orig)).toEqual(SHAPES[kernel]);
  });
});
