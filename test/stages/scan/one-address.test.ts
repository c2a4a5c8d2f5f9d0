/** One address, one new function: names that share a body, and where their ways part. */
import { describe, expect, test } from 'vitest';
import { body, call, lea, movEax } from '../../support/diff-objects';
import { object, ptr64, type Body, type ObjectBuilder } from '../../support/elf-builder';
import { extractObjects, type Extracted } from '../../support/extract-objects';

const LOCAL = { bind: 'local' } as const;
const EXPORTS = { exports: ['ext', '__x86_return_thunk', '__fentry__'], objectName: 'ext4' };
type More = (builder: ObjectBuilder) => ObjectBuilder;
const nothing: More = (b) => b;

/** f calls aa, g calls bb. Without `second` both are names of one body, as GCC folds equal functions. */
const pair = (
  first: number,
  second?: number,
  more: More = nothing,
  bind: 'local' | 'global' = 'local',
): ObjectBuilder => {
  const base = object()
    .file('x.c')
    .undef('ext')
    .func('aa', body(movEax(first), call('ext')), { bind });
  return more(
    (second === undefined ? base.alias('bb', 'aa') : base.func('bb', body(movEax(second), call('ext')), { bind }))
      .func('f', body(call('aa')))
      .func('g', body(movEax(7), call('bb'))),
  );
};
const carried = (made: Extracted): string[] => Object.keys(made.diff.carried).sort();

describe('a body with two names', () => {
  test('is redirected once where both change alike', () => {
    // Two entries for one address: the kernel takes one of them.
    const made = extractObjects(pair(1), pair(2), EXPORTS);
    expect({ told: made.told, funcs: made.funcs }).toEqual({
      told: [],
      funcs: [expect.stringMatching(/^(?:aa|bb),0>/)],
    });
  });

  test('stays where one name does, and callers of the other are taken along', () => {
    // Redirected, callers of the unchanged name get the new code; not redirected and nobody carried, the change is lost.
    for (const [patched, caller] of [
      [pair(1, 2), 'g'],
      [pair(2, 1), 'f'],
    ] as const) {
      const made = extractObjects(pair(1), patched, EXPORTS);
      expect({ told: made.told, funcs: made.funcs, carried: carried(made) }).toEqual({
        told: [],
        funcs: [`${caller},0>${caller}`],
        carried: [caller],
      });
      expect(made.relas(caller).some((line) => /PLT32 (?:aa|bb)-4$/.test(line) && !line.includes('klp'))).toBe(true);
    }
  });

  test("is nobody's where both change, each in its own way", () => {
    const made = extractObjects(pair(1), pair(2, 3), EXPORTS);
    expect({ told: made.told, funcs: made.funcs, carried: carried(made) }).toEqual({
      told: [],
      funcs: ['f,0>f', 'g,0>g'],
      carried: ['f', 'g'],
    });
  });

  test('... but of the one whose address is known elsewhere', () => {
    // The table goes on leading to the old address: it must lead to the new aa.
    const table: More = (b) => b.data('ops', [ptr64('aa')]);
    const made = extractObjects(pair(1, undefined, table), pair(2, 3, table), EXPORTS);
    expect({ told: made.told, funcs: made.funcs, carried: carried(made) }).toEqual({
      told: [],
      funcs: ['aa,0>aa', 'g,0>g'],
      carried: ['g'],
    });
  });

  test('is refused where an address of the changed name is kept', () => {
    const table: More = (b) => b.data('ops', [ptr64('bb')]);
    expect(extractObjects(pair(1, undefined, table), pair(1, 2, table), EXPORTS).told).toEqual(['shared-address bb']);
    const both: More = (b) => b.data('ops', [ptr64('aa'), ptr64('bb')]);
    expect(extractObjects(pair(1, undefined, both), pair(2, 3, both), EXPORTS).told).toEqual([
      expect.stringMatching(/^shared-address (?:aa|bb)$/),
    ]);
  });

  test('is refused where code took it', () => {
    // Whatever `keep` left in memory leads to the old code.
    const keeps: More = (b) => b.func('keep', body(lea('bb')));
    expect(extractObjects(pair(1, undefined, keeps), pair(1, 2, keeps), EXPORTS).told).toEqual(['shared-address bb']);
    // Premise: the unchanged name may be kept.
    const other: More = (b) => b.func('keep', body(lea('aa')));
    expect(extractObjects(pair(1, undefined, other), pair(1, 2, other), EXPORTS).told).toEqual([]);
  });

  test('is refused where others may call the changed name', () => {
    // A unit by itself: callers of other units are not seen. A module's all are, unless it is exported.
    const unit = { ...EXPORTS, objectName: 'vmlinux' };
    expect(extractObjects(pair(1, undefined, nothing, 'global'), pair(1, 2, nothing, 'global'), unit).told).toEqual([
      'shared-address bb',
    ]);
    expect(extractObjects(pair(1, undefined, nothing, 'global'), pair(1, 2, nothing, 'global'), EXPORTS).told).toEqual(
      [],
    );
    const exported: More = (b) => b.section('.export_symbol', { body: [ptr64('bb')], flags: 0 });
    expect(
      extractObjects(pair(1, undefined, exported, 'global'), pair(1, 2, exported, 'global'), EXPORTS).told,
    ).toEqual(['shared-address bb']);
  });

  test('callers that are one body, too, part with it', () => {
    // f and g have equal code in ORIG and are folded; in PATCHED they differ in what they call.
    const build = (second?: number): ObjectBuilder => {
      const base = object()
        .file('x.c')
        .undef('ext')
        .func('aa', body(movEax(1), call('ext')), LOCAL);
      const made =
        second === undefined
          ? base
              .alias('bb', 'aa')
              .func('f', body(call('aa')), LOCAL)
              .alias('g', 'f')
          : base
              .func('bb', body(movEax(second), call('ext')), LOCAL)
              .func('f', body(call('aa')), LOCAL)
              .func('g', body(call('bb')), LOCAL);
      return made.func('top', body(call('f'))).func('side', body(movEax(3), call('g')));
    };
    const made = extractObjects(build(), build(2), EXPORTS);
    expect({ told: made.told, funcs: made.funcs }).toEqual({ told: [], funcs: ['side,0>side'] });
    expect(made.relas('side')).toContain('+0xf PLT32 g-4');
    expect(made.relas('g')).toContain('+0xa PLT32 bb-4');
  });
});

describe('an alias of another function', () => {
  const build = (target: string): ObjectBuilder =>
    object()
      .file('x.c')
      .undef('ext')
      .func('impl1', body(movEax(1), call('ext')))
      .func('impl2', body(movEax(2), call('ext')))
      .alias('entry', target)
      .func('f', body(call('entry')))
      .func('g', body(movEax(5), call('impl1')));

  test('changes its callers, neither function', () => {
    // By the alias's name impl1 would be redirected to impl2.
    const made = extractObjects(build('impl1'), build('impl2'), EXPORTS);
    expect({ told: made.told, funcs: made.funcs }).toEqual({ told: [], funcs: ['f,0>f'] });
    expect(made.relas('f')).toEqual(
      expect.arrayContaining([expect.stringMatching(/klp PLT32 ext4\.(?:impl2|entry),0-4/)]),
    );
    expect(made.relas('f').join()).toContain('ext4.impl2');
  });
});

describe('two bodies that became one', () => {
  test('are both redirected to it', () => {
    const build = (a: Body, b?: Body): ObjectBuilder => {
      const base = object().file('x.c').undef('ext').func('aa', a);
      return (b === undefined ? base.alias('bb', 'aa') : base.func('bb', b))
        .func('f', body(call('aa')))
        .func('g', body(movEax(7), call('bb')));
    };
    const made = extractObjects(build(body(movEax(1)), body(movEax(2))), build(body(movEax(3))), EXPORTS);
    expect(made.told).toEqual([]);
    expect(made.funcs.map((func) => func.split(',')[0]).sort()).toEqual(['aa', 'bb']);
    // One of the two is that body already.
    const one = extractObjects(build(body(movEax(1)), body(movEax(2))), build(body(movEax(1))), EXPORTS);
    expect({ told: one.told, names: one.funcs.map((func) => func.split(',')[0]) }).toEqual({ told: [], names: ['bb'] });
  });
});
