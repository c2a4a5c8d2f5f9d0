/**
 * Profile-guided builds: the profile decides where functions lie (`.text.hot.f`, `.text.unlikely.f`), which of their blocks come first,
 * and what is inlined. All objects are built by Clang from one project and made-up counts.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { DiffResult } from '../src/index';
import { profile, symbolsOf, thinLto, units, withoutClang, type Build, type Counts } from './support/clang';
import { skipWithout } from './support/corpus';
import { code, object } from './support/elf-builder';
import { kpatchDiff } from './support/kpatch-run';
import { readelf } from './support/readelf';
import { resultOf, running } from './support/run-klpflow';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();
const missing = withoutClang();

/** How often functions ran in two workloads that have nothing in common. */
const PUSHING: Counts = {
  queue_push: 100_000,
  queue_pop: 90_000,
  wrap: 190_000,
  submit: 100_000,
  drain: 1000,
  accounted: 10,
};
const ACCOUNTING: Counts = { account: 70_000, accounted: 80_000, report: 100_000, drain: 10, queue_pop: 5, wrap: 3 };

const EDIT = { edits: { queue: ['return fallback + last;', 'return fallback - 3 * last;'] } } as const satisfies Build;

type Objects = ReturnType<typeof units>;
let pushing: string;
let accounting: string;
let original: Objects;

function build(name: string, how: Build = {}): Objects {
  return units(join(folder, name), how);
}

const used = (path: string, how: Build = {}): Build => ({
  ...how,
  flags: [`-fprofile-use=${path}`, ...(how.flags ?? [])],
});

beforeAll(() => {
  if (missing !== undefined) return;
  for (const name of ['pushing', 'accounting']) mkdirSync(join(folder, 'profile', name), { recursive: true });
  pushing = profile(join(folder, 'profile', 'pushing'), PUSHING);
  accounting = profile(join(folder, 'profile', 'accounting'), ACCOUNTING);
  original = build('original', used(pushing));
});
beforeEach((context) => skipWithout(context, missing));

async function diff(orig: string, other: string): Promise<DiffResult> {
  return resultOf(
    await running(['diff', orig, other, '--json', '--progress', 'none', '--run-dir', join(folder, 'run')]),
  );
}

const changed = ({ objects }: DiffResult): string[] =>
  objects.flatMap(({ functions }) =>
    [...functions.changed, ...functions.new, ...functions.removed].map(({ name }) => name),
  );
const data = ({ objects }: DiffResult): string[] =>
  objects.flatMap(({ data: { changed: all, new: fresh, removed } }) =>
    [...all, ...fresh, ...removed].map(({ name }) => name),
  );
/** What is told of the pair; that no kernel was given to check it against is told of all of them. */
const found = ({ diagnostics }: DiffResult): DiffResult['diagnostics'] =>
  diagnostics.filter(({ code: name }) => name !== 'not-checked');
const codes = (result: DiffResult): string[] => found(result).map(({ code: name }) => name);
const sectionOf = (path: string, name: string): string =>
  symbolsOf(path).find((symbol) => symbol.name === name)!.section;

describe('one profile', () => {
  test('only the edited function changed; .llvm.call-graph-profile with its SHT_REL relocations counts for nothing', async () => {
    const edited = build('edited', used(pushing, EDIT));
    // Premises: the counts of calls are there, other than before, with relocations of a type that x86-64 otherwise never has.
    for (const { of } of [original, edited])
      expect(readelf(of('queue'), '-SW').join('\n')).toMatch(/\.rel\.llvm\.call-graph-profile +REL /);
    expect(sectionOf(original.of('queue'), 'queue_push')).toBe('.text.hot.queue_push');
    const result = await diff(original.folder, edited.folder);
    expect({ verdict: result.verdict, changed: changed(result), data: data(result), codes: codes(result) }).toEqual({
      verdict: 'patchable',
      changed: ['queue_pop'],
      data: [],
      codes: [],
    });
  });

  test('an edit that costs a function its counts is not yet another profile', async () => {
    // A block more, and the profile no longer fits queue_pop: it leaves the hot code, and its calls are not counted.
    const edited = build(
      'block',
      used(pushing, {
        edits: {
          queue: ['return fallback + last;', 'if (fallback == 17)\n\t\t\treturn last;\n\t\treturn fallback + last;'],
        },
      }),
    );
    expect([original, edited].map(({ of }) => sectionOf(of('queue'), 'queue_pop'))).toEqual([
      '.text.hot.queue_pop',
      '.text.queue_pop',
    ]);
    expect(readelf(edited.of('queue'), '-x', '.llvm.call-graph-profile')).not.toEqual(
      readelf(original.of('queue'), '-x', '.llvm.call-graph-profile'),
    );
    // Silent failure: a warning that comes with every edit, and is read no more.
    const result = await diff(original.folder, edited.folder);
    expect({ changed: changed(result), codes: codes(result) }).toEqual({ changed: ['queue_pop'], codes: [] });
  });

  test('ThinLTO and a profile together', async () => {
    const [ours, theirs] = [
      thinLto(join(folder, 'lto'), used(pushing)),
      thinLto(join(folder, 'lto-edited'), used(pushing, EDIT)),
    ];
    const result = await diff(ours.folder, theirs.folder);
    expect({ changed: changed(result), data: data(result), codes: codes(result) }).toEqual({
      changed: ['queue_pop'],
      data: [],
      codes: [],
    });
  });
});

describe('hot, unlikely and plain code', () => {
  test('a function that only moved is no change, one that moved and changed is', async () => {
    // Silent failure of the other kind: a move counted as a change drags hundreds of functions into a patch.
    const BODY = code([0xb8, 1, 0, 0, 0, 0xc3]);
    const at = (prefixes: readonly string[], last: number): Buffer => {
      const built = object().file('moved.c');
      prefixes.forEach((prefix, i) =>
        built.func(`f${i}`, i === 3 ? code([0xb8, last, 0, 0, 0, 0xc3]) : BODY, {
          section: `${prefix}f${i}`,
          bind: i % 2 === 0 ? 'global' : 'local',
        }),
      );
      return built.bytes();
    };
    const places = ['.text.', '.text.hot.', '.text.unlikely.', '.text.split.'];
    const [orig, moved, edited] = ['a.o', 'b.o', 'c.o'].map((name) => join(folder, name)) as [string, string, string];
    writeFileSync(orig, at(places, 1));
    writeFileSync(moved, at([...places.slice(1), places[0]!], 1));
    writeFileSync(edited, at([...places.slice(1), places[0]!], 2));
    expect((await diff(orig, moved)).verdict).toBe('unchanged');
    expect(changed(await diff(orig, edited))).toEqual(['f3']);
  });

  test('a cold part goes with its function, wherever the two lie', async () => {
    // -fsplit-machine-functions puts blocks that never ran into .text.split.f, as f.cold.
    const split = { flags: ['-fsplit-machine-functions'] } as const;
    const [ours, theirs] = [
      build('split', used(pushing, split)),
      build(
        'split-edited',
        used(pushing, {
          ...split,
          edits: { queue: ['return report(1, "queue full");', 'return report(7, "queue full");'] },
        }),
      ),
    ];
    const cold = symbolsOf(ours.of('queue'))
      .filter(({ name }) => name.endsWith('.cold'))
      .map(({ name, section }) => `${name} in ${section}`);
    expect(cold).toContain('queue_push.cold in .text.split.queue_push');
    expect(changed(await diff(ours.folder, theirs.folder))).toEqual(['queue_push']);
  });
});

describe('different profiles', () => {
  test('one warning says so; changed block order counts, moves do not', async () => {
    const other = build('other', used(accounting));
    expect(sectionOf(original.of('queue'), 'queue_push')).toBe('.text.hot.queue_push');
    expect(sectionOf(other.of('queue'), 'queue_push')).toBe('.text.unlikely.queue_push');
    // Silent failure: a patch of functions that nobody edited, and no hint where they come from.
    const result = await diff(original.folder, other.folder);
    expect(changed(result)).toContain('submit');
    expect(changed(result)).not.toContain('queue_push');
    expect(found(result)).toEqual([
      expect.objectContaining({
        code: 'different-profiles',
        severity: 'warning',
        hint: expect.stringContaining('the same profile'),
      }),
    ]);
    expect(result.verdict).toBe('patchable');
  });

  test('counts alone tell it where the code is the same', async () => {
    // Twice as much of the same work: nothing moves, no block changes its place.
    mkdirSync(join(folder, 'profile', 'twice'), { recursive: true });
    const twice = profile(
      join(folder, 'profile', 'twice'),
      Object.fromEntries(Object.entries(PUSHING).map(([name, count]) => [name, count * 2])),
    );
    const [a, b] = [thinLto(join(folder, 'once'), used(pushing)), thinLto(join(folder, 'twice'), used(twice))];
    const result = await diff(a.folder, b.folder);
    expect(changed(result)).toEqual([]);
    expect(codes(result)).toEqual(['different-profiles']);
    expect(result.verdict).toBe('unchanged');
  });

  test('a build without any profile', async () => {
    expect(codes(await diff(original.folder, build('none').folder))).toEqual(['different-profiles']);
  });
});

describe('builds that gather a profile', () => {
  test('counters are no data that changed; the patch is refused', async () => {
    const gathering = { flags: ['-fprofile-generate'] } as const;
    const [ours, theirs] = [build('gathering', gathering), build('gathering-edited', { ...gathering, ...EDIT })];
    expect(readelf(ours.of('queue'), '-SW').join('\n')).toContain('__llvm_prf_cnts');
    // Silent failure: a function that counts in places which the running kernel's arrays do not have.
    const result = await diff(ours.folder, theirs.folder);
    expect({ verdict: result.verdict, changed: changed(result), data: data(result), codes: codes(result) }).toEqual({
      verdict: 'refused',
      changed: ['queue_pop'],
      data: [],
      codes: ['instrumented-build'],
    });
    expect((await diff(ours.folder, ours.folder)).verdict).toBe('unchanged');
    // One for all objects.
    const mixed = await diff(ours.folder, original.folder);
    expect(
      mixed.diagnostics
        .filter(({ severity }) => severity === 'refusal')
        .map(({ code: name, message }) => [name, message]),
    ).toEqual([['instrumented-build', expect.stringMatching(/^ORIG gathers a profile/)]]);
  });
});

describe('create-diff-object', () => {
  test('a PGO unit: the edited function alone', async () => {
    const edited = build('kpatch-edited', used(pushing, EDIT));
    const output = join(folder, 'kpatch.o');
    expect(await kpatchDiff(original.of('queue'), edited.of('queue'), original.of('queue'), output)).toEqual({
      exit: 0,
      lines: ['changed function: queue_pop'],
      diagnostics: [],
    });
    // A section that is called after its function, as kpatch-build's linker script expects.
    expect(readelf(output, '-SW').join('\n')).toMatch(/ \.text\.hot\.queue_pop /);
  });

  test('moved functions are no change; another profile is told where enough of them show it', async () => {
    const other = build('kpatch-other', used(accounting));
    // queue_push and queue_pop moved, too: upstream's tool counts them as changed.
    const queue = await kpatchDiff(
      original.of('queue'),
      other.of('queue'),
      original.of('queue'),
      join(folder, 'kpatch-queue.o'),
    );
    expect(queue.lines).toEqual(['changed function: wrap']);
    const [ours, theirs] = [
      thinLto(join(folder, 'kpatch-lto'), used(pushing)),
      thinLto(join(folder, 'kpatch-lto-other'), used(accounting)),
    ];
    const all = await kpatchDiff(ours.linked, theirs.linked, ours.linked, join(folder, 'kpatch-all.o'));
    expect(all.diagnostics.map(({ code: name, severity }) => `${severity} ${name}`)).toContain(
      'warning different-profiles',
    );
  });

  test('an instrumented unit is refused', async () => {
    const flags = ['-fprofile-generate'];
    const [ours, theirs] = [build('kpatch-gathering', { flags }), build('kpatch-gathering-edited', { ...EDIT, flags })];
    const ran = await kpatchDiff(
      ours.of('queue'),
      theirs.of('queue'),
      ours.of('queue'),
      join(folder, 'kpatch-refused.o'),
    );
    expect(ran.exit).toBe(2);
    expect(ran.diagnostics.map(({ code: name }) => name)).toContain('instrumented-build');
  });
});
