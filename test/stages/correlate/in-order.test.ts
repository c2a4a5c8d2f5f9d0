/**
 * Symbols that stand in the same order pair without the join by key. What this guards against: a pair that the join would not make,
 * by which a livepatch is bound to another symbol of the running kernel.
 */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { Pairing, UseIndex, pairByName, type NamePairs } from '../../../src/stages/correlate';
import * as inOrder from '../../../src/stages/correlate/in-order';
import type { ScanTable } from '../../../src/stages/scan';
import { body, movEax, scan } from '../../support/diff-objects';
import { object, u32 } from '../../support/elf-builder';

vi.mock('../../../src/stages/correlate/in-order', { spy: true });

/** Few names, so that many meet: alone or not, numbered, promoted by one unit or the other. */
const NAMES = [
  'probe',
  'init',
  'state',
  'counter.1',
  'counter.2',
  'step.isra.0',
  'step.isra.1',
  'half.part.0',
  'half',
  'up.llvm.11',
  'up.llvm.22',
  'up',
  'once.llvm.11',
  'once',
  'CSWTCH.1',
  '__key.1',
  'probe.cold',
];
const MAKES = ['func', 'data', 'rodata', 'bss', 'common', 'undef', 'abs'] as const;

interface Made {
  name: string;
  make: (typeof MAKES)[number];
  bind: 'local' | 'global' | 'weak';
  /** A FILE symbol in front of it. */
  file: string | undefined;
}

const symbols: fc.Arbitrary<Made[]> = fc.array(
  fc.record({
    name: fc.constantFrom(...NAMES),
    make: fc.constantFrom(...MAKES),
    bind: fc.constantFrom('local', 'local', 'global', 'weak'),
    file: fc.option(fc.constantFrom('a.c', 'b.c', 'c.c'), { nil: undefined, freq: 4 }),
  }),
  { maxLength: 24 },
);

/** A table and one that an edit made of it: symbols are gone, new, or of another type. */
const pairs = fc
  .tuple(symbols, symbols, fc.array(fc.nat(23), { maxLength: 4 }), fc.nat(24), fc.nat(23))
  .map(([all, more, gone, at, other]) => {
    const kept = all
      .filter((_, i) => !gone.includes(i))
      .map((made, i) => (i === other ? ({ ...made, make: made.make === 'func' ? 'data' : 'func' } as const) : made));
    return [all, [...kept.slice(0, at), ...more.slice(0, 3), ...kept.slice(at)]] as const;
  });

function tableOf(made: readonly Made[]): ScanTable {
  const builder = object();
  const globals = new Set<string>();
  for (const { name, make, bind: asked, file } of made) {
    if (file !== undefined) builder.file(file);
    // A linker leaves one global of a name.
    const bind = asked !== 'local' && globals.has(name) ? 'local' : asked;
    if (bind !== 'local') globals.add(name);
    if (make === 'func') builder.func(name, body(movEax(1)), { bind });
    else if (make === 'data' || make === 'rodata') builder[make](name, [u32(1)], { bind });
    else if (make === 'bss') builder.bss(name, 4, { bind });
    else if (make === 'common') builder.common(name, 4);
    else if (make === 'abs') builder.abs(name, 4, bind);
    else builder.undef(name);
  }
  return scan(builder).table;
}

const told = ({ pairing, scoped }: NamePairs): object => ({
  twin: [...pairing.twin],
  origin: [...pairing.origin],
  rule: [...pairing.rule],
  scoped,
});

test('pairs in order are those of the join by key, with the same rule and the same groups left', () => {
  const join = vi.mocked(inOrder.joinInOrder);
  let paired = 0;
  fc.assert(
    fc.property(pairs, ([ours, theirs]) => {
      const [orig, patched] = [tableOf(ours), tableOf(theirs)];
      const quick = pairByName(orig, patched, {
        orig: new UseIndex(new Uint32Array(), orig.symbols),
        patched: new UseIndex(new Uint32Array(), patched.symbols),
      })!;
      join.mockImplementationOnce(() => undefined);
      const plain = pairByName(orig, patched, {
        orig: new UseIndex(new Uint32Array(), orig.symbols),
        patched: new UseIndex(new Uint32Array(), patched.symbols),
      })!;
      expect(told(quick)).toEqual(told(plain));
      const alone = new Pairing(orig, patched);
      alone.unitTwin.set(plain.pairing.unitTwin);
      inOrder.joinInOrder(alone);
      paired += alone.twin.filter((twin) => twin !== 0).length;
    }),
    { numRuns: 400, seed: 7 },
  );
  expect(paired).toBeGreaterThan(400);
});
