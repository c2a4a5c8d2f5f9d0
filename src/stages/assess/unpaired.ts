import type { SymbolIndex } from '../../elf';
import { namesOf, originOf, twinOf } from '../correlate';
import { Trait } from '../scan';
import { plain } from './names';
import type { AssessInput, ObjectResult } from './types';

/** Body of its own in PATCHED that nothing pairs, and that nothing tells apart from others of its name. */
function isNew(
  { pairing, patched: { table } }: AssessInput,
  symbol: SymbolIndex,
  undecided: ReadonlySet<number>,
): boolean {
  return table.canonical[symbol] === symbol && !undecided.has(symbol) && originOf(pairing, symbol) === 0;
}

/** Patched functions without a twin: not a cold part, not one more name of a paired body. */
export function newFunctions(input: AssessInput, undecided: ReadonlySet<number>): number[] {
  const { table } = input.patched;
  return input.unpaired.patched.filter(
    (symbol) => !table.has(symbol, Trait.OBJECT) && !table.has(symbol, Trait.COLD) && isNew(input, symbol, undecided),
  );
}

/** New globals that another object of the livepatch uses, by name. */
export function wantedVariables(input: AssessInput, undecided: ReadonlySet<number>): number[] {
  const { patched, unpaired, wanted = [] } = input;
  const { table } = patched;
  if (wanted.length === 0) return [];
  return unpaired.patched.filter(
    (symbol) =>
      table.has(symbol, Trait.OBJECT) &&
      isNew(input, symbol, undecided) &&
      namesOf(table, symbol).some((name) => !table.isLocal(name) && wanted.includes(patched.name(name))),
  );
}

export function listUnpaired(
  input: AssessInput,
  result: ObjectResult,
  undecided: ReadonlySet<number>,
  undecidedOrig: ReadonlySet<number>,
): void {
  const { pairing, orig, patched, unpaired } = input;
  for (const symbol of unpaired.patched)
    if (patched.table.has(symbol, Trait.OBJECT) && isNew(input, symbol, undecided))
      result.data.new.push(plain(patched, symbol));
  for (const symbol of unpaired.orig) {
    if (
      orig.table.canonical[symbol] !== symbol ||
      undecidedOrig.has(symbol) ||
      orig.table.has(symbol, Trait.COLD) ||
      twinOf(pairing, symbol) !== 0
    )
      continue;
    (orig.table.has(symbol, Trait.OBJECT) ? result.data : result.functions).removed.push(plain(orig, symbol));
  }
}
