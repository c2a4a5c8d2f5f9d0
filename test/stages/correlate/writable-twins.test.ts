import { describe, expect, test } from 'vitest';
import { NOTHING, body, diffObjects, inc, lea, movEax } from '../../support/diff-objects';
import { object, ptr64, u32, type ObjectBuilder } from '../../support/elf-builder';

const LOCAL = { bind: 'local' } as const;

describe('writable twins', () => {
  /** Variables in this order, then functions that use them by name. */
  const state = (variables: string[], users: Record<string, string[]>): ObjectBuilder => {
    const builder = object().file('apic.c');
    for (const name of variables) builder.bss(name, 8, LOCAL);
    for (const [user, used] of Object.entries(users))
      builder.func(user, body(...used.map((name) => inc(name)), movEax(user.length)));
    return builder;
  };

  test('renumbered variables pair by use, never by number', () => {
    // apic_pm_state.3 is one field of a split struct in one build and another in the next; 15 are equal byte for byte.
    const orig = state(['apic_pm_state.0', 'apic_pm_state.1', 'apic_pm_state.2'], {
      save: ['apic_pm_state.0', 'apic_pm_state.1'],
      restore_all: ['apic_pm_state.2'],
    });
    const patched = state(['apic_pm_state.0', 'apic_pm_state.1', 'apic_pm_state.2'], {
      save: ['apic_pm_state.2', 'apic_pm_state.0'],
      restore_all: ['apic_pm_state.1'],
    });
    const diff = diffObjects(orig, patched);
    expect(['apic_pm_state.0', 'apic_pm_state.1', 'apic_pm_state.2'].map((name) => diff.twin(name)?.name)).toEqual([
      'apic_pm_state.2',
      'apic_pm_state.0',
      'apic_pm_state.1',
    ]);
    expect(diff).toMatchObject(NOTHING);
  });

  test('a function that uses another of them than before changes', () => {
    // Names and bytes are the same: only who else uses which variable tells.
    const orig = state(['state.0', 'state.1'], {
      save: ['state.0'],
      restore_all: ['state.1'],
      f: ['state.0'],
      f2: ['state.0'],
    });
    const patched = state(['state.0', 'state.1'], {
      save: ['state.0'],
      restore_all: ['state.1'],
      f: ['state.1'],
      f2: ['state.0'],
    });
    const diff = diffObjects(orig, patched);
    // `f` contradicts `save` and `f2`, so nothing may be taken for granted: it is told or refused, never silent.
    expect([...Object.keys(diff.changed), ...diff.told, ...diff.ambiguous.map(String)].length).toBeGreaterThan(0);
  });

  test('use by data pairs them too', () => {
    // A slot in paired data is evidence like an offset in a paired function.
    const build = (first: string, second: string): ObjectBuilder =>
      object()
        .file('x.c')
        .bss('state.0', 8, LOCAL)
        .bss('state.1', 8, LOCAL)
        .data('table', [ptr64(first), ptr64(second)]);
    const diff = diffObjects(build('state.0', 'state.1'), build('state.1', 'state.0'));
    expect(diff.twin('state.0')?.name).toBe('state.1');
    expect(diff).toMatchObject(NOTHING);
  });

  test('without evidence they are ambiguous, told only where the livepatch reaches them', () => {
    // Refused always, a kernel with 29 such groups could never be patched.
    const build = (value: number, users: Record<string, string[]>): ObjectBuilder =>
      state(['state.0', 'state.1'], users).func('unrelated', body(movEax(value)));
    const quiet = diffObjects(build(1, {}), build(2, {}));
    expect(quiet).toMatchObject({ changed: { unrelated: 'code' }, told: [] });
    expect(quiet.correlation.ambiguous.map(({ orig }) => orig.length)).toEqual([2]);
    // Nobody uses them, so nobody needs to read of them (95 `___tp_str.N` of one unit of 6.12).
    expect(quiet.ambiguous).toEqual([]);
    // The only user changed: what it used at the same offset proves nothing any more.
    const reached = diffObjects(
      state(['state.0', 'state.1'], { f: ['state.0', 'state.1'] }),
      state(['state.0', 'state.1'], { f: ['state.1', 'state.0', 'state.1'] }),
    );
    expect(reached.changed).toEqual({ f: 'code' });
    expect(reached.told.map((text) => text.split(' ')[0])).toContain('ambiguous-data');
  });

  test('a variable of a one-letter name is numbered too', () => {
    // `static int n` of two functions: n.1 and n.2 change places in the next build and pair by number.
    const orig = state(['n.1', 'n.2'], { save: ['n.1'], restore_all: ['n.2'] });
    const patched = state(['n.1', 'n.2'], { save: ['n.2'], restore_all: ['n.1'] });
    expect(diffObjects(orig, patched).twin('n.1')?.name).toBe('n.2');
  });

  test("a variable whose function vanished is not another function's of the same base name", () => {
    // `dumped_before.3` of a deleted function and of a new one: paired, new code writes a dead variable's place.
    const orig = object()
      .file('unwind.c')
      .bss('dumped_before.3', 4, LOCAL)
      .func('gone', body(inc('dumped_before.3')));
    const patched = object()
      .file('unwind.c')
      .bss('dumped_before.3', 4, LOCAL)
      .func('brand_new', body(movEax(3), inc('dumped_before.3')));
    const diff = diffObjects(orig, patched);
    expect(diff).toMatchObject({ removed: ['gone'], added: ['brand_new'] });
    expect(diff.twin('dumped_before.3')).toBeUndefined();
    expect(diff.told).toEqual(['ambiguous-data dumped_before.3']);
  });

  test("an inlined function's variable is not its caller's former one", () => {
    // f lost its own `n` and got g inlined, with g's `n`: the only common user is f, and the twin is wrong.
    const orig = state(['calls.1', 'calls.2'], { f: ['calls.1'], g: ['calls.2'] });
    const patched = state(['calls.7'], { f: ['calls.7', 'calls.7'] });
    expect(diffObjects(orig, patched).twin('calls.1')?.name).not.toBe('calls.7');
  });

  test('a variable used only through a compound literal is used', () => {
    // The literal is private to each build and has no twin; its pointer still says who uses the variable.
    const build = (user: string, value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .bss('state.1', 8, LOCAL)
        .rodata('__compound_literal.4', [ptr64('state.1'), u32(value)], LOCAL)
        .func(user, body(lea('__compound_literal.4'), movEax(value)));
    const diff = diffObjects(build('gone', 1), build('brand_new', 2));
    expect(diff.removed).toEqual(['gone']);
    expect(diff.twin('state.1')).toBeUndefined();
  });

  test('a variable used only through anonymous data is not unused', () => {
    // .rodata..L__const.f holds a pointer to state.1 of a function that is gone; the new function's state.1 is another one.
    const build = (user: string, value: number): ObjectBuilder =>
      object()
        .file('x.c')
        .bss('state.1', 8, LOCAL)
        .section('.rodata..L__const.f', { body: [ptr64('state.1'), u32(value)] })
        .func(user, body(lea({ section: '.rodata..L__const.f' }), movEax(value)));
    const diff = diffObjects(build('gone', 1), build('brand_new', 2));
    expect(diff.removed).toEqual(['gone']);
    expect(diff.twin('state.1')).toBeUndefined();
  });

  test('a namesake in a new unit does not take away the evidence', () => {
    // The patch adds a unit with a static `depth`; f's numbered variables lose their only evidence and the patch is refused.
    const orig = object()
      .file('a.c')
      .bss('depth', 8, LOCAL)
      .bss('calls.1', 8, LOCAL)
      .bss('calls.2', 8, LOCAL)
      .func('f', body(inc('depth'), inc('calls.1'), inc('calls.2')));
    const patched = object()
      .file('a.c')
      .bss('depth', 8, LOCAL)
      .bss('calls.1', 8, LOCAL)
      .bss('calls.2', 8, LOCAL)
      .func('f', body(inc('depth'), inc('calls.2'), inc('calls.1')))
      .file('b.c')
      .bss('depth', 8, { ...LOCAL, section: '.bss.b' });
    expect(diffObjects(orig, patched).twin('calls.1')?.name).toBe('calls.2');
  });
});
