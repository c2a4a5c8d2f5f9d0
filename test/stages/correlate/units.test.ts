import { describe, expect, test } from 'vitest';
import { NOTHING, body, call, diffObjects, movEax } from '../../support/diff-objects';
import { object, type ObjectBuilder } from '../../support/elf-builder';

const LOCAL = { bind: 'local' } as const;

describe('compilation units', () => {
  /** Units called `core.c`, each with a `probe` that returns `value` and locals of its own. */
  const cores = (...units: Array<{ own: string[]; value: number }>): ObjectBuilder => {
    const builder = object();
    units.forEach(({ own, value }, i) => {
      builder.file('core.c').func('probe', body(movEax(value)), { ...LOCAL, section: `.text.${i}.probe` });
      for (const name of own) builder.func(name, body(movEax(7)), { ...LOCAL, section: `.text.${i}.${name}` });
    });
    return builder;
  };

  test('equal names in units of equal names stay apart', () => {
    // core.c stands 23 times in a 7.2 kernel, probe and remove in most of them: merged, one driver gets another's code.
    const orig = cores({ own: ['a'], value: 1 }, { own: ['b'], value: 2 }, { own: ['c'], value: 3 });
    const patched = cores({ own: ['a'], value: 1 }, { own: ['b'], value: 9 }, { own: ['c'], value: 3 });
    const diff = diffObjects(orig, patched);
    expect(diff.changed).toEqual({ probe: 'code' });
    expect(diff.object.functions.changed.length).toBe(1);
    expect([0, 1, 2].map((nth) => diff.twin('probe', nth)?.name)).toEqual(['probe#0', 'probe#1', 'probe#2']);
  });

  test('units of one name that changed places pair by their locals', () => {
    // A Makefile edit reorders the link: by ordinal each driver would be patched with the other's probe.
    const diff = diffObjects(
      cores({ own: ['a', 'a2'], value: 1 }, { own: ['b', 'b2'], value: 2 }),
      cores({ own: ['b', 'b2'], value: 2 }, { own: ['a', 'a2'], value: 1 }),
    );
    expect(diff.twin('probe', 0)?.name).toBe('probe#1');
    expect(diff).toMatchObject(NOTHING);
  });

  test('units of one name whose sets of names changed places stay who they are', () => {
    // `more` moved from one core.c to the other: by their locals' names alone each would be the other, and so would all their statics.
    const build = (...more: string[][]): ObjectBuilder => {
      const builder = object();
      more.forEach((names, i) => {
        builder.file('core.c');
        for (const name of ['probe', 'remove', ...names])
          builder.func(name, body(movEax(name === 'more' ? 7 : i)), { ...LOCAL, section: `.text.${i}.${name}` });
      });
      return builder;
    };
    const diff = diffObjects(build([], ['more']), build(['more'], []));
    expect([0, 1].map((nth) => diff.twin('probe', nth)?.name)).toEqual(['probe#0', 'probe#1']);
    expect(diff.changed).toEqual({});
  });

  test('a unit that was added or removed is new or removed code', () => {
    // Upstream refuses such a pair; here the others must still pair.
    const two = cores({ own: ['a'], value: 1 }, { own: ['b'], value: 2 });
    const three = cores({ own: ['a'], value: 1 }, { own: ['b'], value: 2 }, { own: ['fresh', 'other'], value: 5 });
    const added = diffObjects(two, three);
    expect(added.correlation.units).toMatchObject({ removed: [], added: [expect.any(Number)] });
    expect(added.changed).toEqual({});
    expect(added.added.sort()).toEqual(['fresh', 'other', 'probe']);
    const removed = diffObjects(three, two);
    expect(removed.changed).toEqual({});
    expect(removed.removed.sort()).toEqual(['fresh', 'other', 'probe']);
  });

  test("a new unit in front does not take another's twin", () => {
    // A new driver's core.c is linked before the others and has a probe too: the old driver's probe is paired with it and
    // patched with its code.
    const orig = cores({ own: [], value: 1 }, { own: ['b'], value: 2 });
    const patched = cores({ own: ['fresh'], value: 5 }, { own: [], value: 1 }, { own: ['b'], value: 2 });
    const diff = diffObjects(orig, patched);
    expect(diff.twin('probe', 0)?.name).toBe('probe#1');
    expect(diff.changed).toEqual({});
  });

  test('a unit that was renamed pairs by its locals', () => {
    // old.c became new.c and nothing else: its statics would all be removed and new.
    const build = (file: string, value: number): ObjectBuilder =>
      object()
        .file(file)
        .func('helper', body(movEax(value)), LOCAL)
        .func('other', body(movEax(7)), LOCAL)
        .func('api', body(call('helper')));
    expect(diffObjects(build('old.c', 1), build('new.c', 1))).toMatchObject(NOTHING);
    expect(diffObjects(build('old.c', 1), build('new.c', 2)).changed).toEqual({ helper: 'code' });
  });

  test('a unit that was replaced: callers of its changed statics change', () => {
    // The global api() stays, its static helper is removed and new. api's bytes are the same, so the livepatch would hold a
    // new helper that nobody calls.
    const build = (file: string, value: number): ObjectBuilder => {
      const builder = object().file(file);
      for (const i of [1, 2, 3, 4, 5]) builder.func(`${file[0]}${'abcde'[i - 1]}`, body(movEax(10 * i + value)), LOCAL);
      return builder.func('helper', body(movEax(value)), LOCAL).func('api', body(call('helper')));
    };
    // Premise: the units do not pair.
    expect(diffObjects(build('old.c', 1), build('new.c', 2)).correlation.units.removed.length).toBe(1);
    const diff = diffObjects(build('old.c', 1), build('new.c', 2));
    const covered = 'helper' in diff.changed || 'api' in diff.changed;
    expect(covered).toBe(true);
  });

  test('a local and a global of one name', () => {
    // `user_read` is a local in one unit and an export of another: merged, one is patched with the other's code.
    const build = (value: number): ObjectBuilder =>
      object()
        .file('a.c')
        .func('user_read', body(movEax(1)), LOCAL)
        .file('b.c')
        .func('user_read', body(movEax(value)), { section: '.text.b' });
    const diff = diffObjects(build(2), build(3));
    expect(diff.object.functions.changed.map(({ name, file }) => [name, file])).toEqual([['user_read', null]]);
  });
});
