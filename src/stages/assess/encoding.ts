import type { SymbolIndex } from '../../elf';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { decodeFunction } from '../side/decoded';
import type { Side } from '../side/side';
import { originOf, twinOf } from '../correlate';
import { Trait } from '../scan';
import { usersOf } from './references';
import type { AssessInput } from './types';

/**
 * Warns of variables that hold one and the same value as different numbers in the two builds. Clang keeps a variable that is only ever 0 or
 * 7 as 0 or 1 and multiplies where it reads; one more value in PATCHED, and it keeps all of them as they are: a 1 that the running
 * kernel left there meant 7. Nothing in ELF says so. What can be seen is that one build stores nothing but 0 and 1, and the other no 1.
 */
export function reportEncodings(input: AssessInput, included: Iterable<SymbolIndex>): Diagnostic[] {
  const { pairing, orig, patched, objectName } = input;
  const suspects = new Map<number, number>();
  for (const symbol of included) {
    if (patched.table.has(symbol, Trait.OBJECT)) continue;
    for (const [variable, value] of storedBytes(patched, symbol)) {
      const twin = originOf(pairing, variable);
      if (value > 1 && twin !== 0) suspects.set(variable, twin);
    }
    const before = originOf(pairing, symbol);
    for (const [variable, value] of before === 0 ? [] : storedBytes(orig, before)) {
      const twin = twinOf(pairing, variable);
      if (value > 1 && twin !== 0) suspects.set(twin, variable);
    }
  }
  if (suspects.size === 0) return [];
  const theirs = allStored(patched, new Set(suspects.keys()));
  const ours = allStored(orig, new Set(suspects.values()));
  return [...suspects].flatMap(([variable, twin]) => {
    const [a, b] = [ours.get(twin) ?? new Set<number>(), theirs.get(variable) ?? new Set<number>()];
    const shrunk = isFlag(a) && hasNoOne(b) ? 'ORIG' : isFlag(b) && hasNoOne(a) ? 'PATCHED' : undefined;
    if (shrunk === undefined) return [];
    const name = orig.name(twin);
    const message = `${shrunk} stores nothing but 0 and 1 in ${name}, and ${shrunk === 'ORIG' ? 'PATCHED' : 'ORIG'} stores other values and never 1: what the running kernel left there may mean something else to the new code`;
    return [
      diagnostic('value-encoding', message, { object: objectName, section: orig.sectionName(twin), symbol: name }),
    ];
  });
}

const isFlag = (values: ReadonlySet<number>): boolean => values.has(1) && [...values].every((value) => value <= 1);
const hasNoOne = (values: ReadonlySet<number>): boolean => !values.has(1) && [...values].some((value) => value > 1);

/** What all code stores in variables, as far as it says so. */
function allStored(side: Side, variables: ReadonlySet<number>): Map<number, Set<number>> {
  const users = new Set(
    [...usersOf(side, variables).values()]
      .flat()
      .map(({ symbol }) => symbol)
      .filter((symbol) => symbol !== 0 && !side.table.has(symbol, Trait.OBJECT)),
  );
  const found = new Map<number, Set<number>>();
  for (const user of users)
    for (const [variable, value] of storedBytes(side, user))
      found.set(variable, (found.get(variable) ?? new Set()).add(value));
  return found;
}

/** Constants that a function stores in writable variables of one byte. */
function storedBytes(side: Side, symbol: SymbolIndex): Array<[variable: number, value: number]> {
  const { bytes, instructions, targets } = decodeFunction(side, symbol, side.disassembler);
  return targets.flatMap((list, i) => {
    const variable = list[0]?.target.symbol ?? 0;
    if (
      list.length !== 1 ||
      variable === 0 ||
      list[0]!.target.delta !== 0 ||
      side.table.size[variable] !== 1 ||
      !side.table.has(variable, Trait.WRITABLE)
    )
      return [];
    const { offset, length } = instructions[i]!;
    return side.disassembler
      .storedByte(bytes.subarray(offset, offset + length))
      .map((value): [number, number] => [variable, value]);
  });
}
