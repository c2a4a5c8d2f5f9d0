import type { SymbolIndex } from '../../elf';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { typeChecks } from '../../kernel/kcfi';
import type { Side } from '../side/side';
import { Prefixes } from '../side/prefixes';
import { twinOf } from '../correlate';
import type { AssessInput } from './types';
import { reachedUnseen } from './unseen';
import { isUnit } from './whole-kernel';

const NAMED = 3;

/**
 * Refuses functions whose type changed (kCFI) while pointers to them are in use: the running kernel's function has the old type's hash before
 * it, redirected or not, and a new call through such a pointer checks for the new one and traps.
 */
export function refuseChangedTypes(input: AssessInput, included: Iterable<SymbolIndex>): Diagnostic[] {
  const { pairing, orig, patched, objectName } = input;
  // A kernel without kCFI has 50,000 prefixes that hold no type.
  if (orig.arch.namelessHash === 0 && orig.table.typedCount === 0) return [];
  const [ours, theirs] = [Prefixes.of(orig), Prefixes.of(patched)];
  const differing = new Map<number, { before: number; now: number }>();
  ours.forEachTyped((symbol) => {
    const before = ours.typeHash(symbol);
    const twin = twinOf(pairing, symbol);
    const now = twin === 0 ? undefined : theirs.typeHash(twin);
    if (before !== undefined && now !== undefined && before !== now) differing.set(symbol, { before, now });
  });
  if (differing.size === 0) return [];
  const taken = reachedUnseen(orig, new Set(differing.keys()), isUnit(input));
  const bodies = [...included];
  return [...differing]
    .filter(([symbol]) => taken.has(symbol))
    .map(([symbol, { before, now }]) => {
      const name = orig.name(symbol);
      const callers = bodies.filter((body) => checksFor(patched, body, now)).map((body) => patched.name(body));
      const who =
        callers.length === 0
          ? 'calls of the new type'
          : `${callers.slice(0, NAMED).join(', ')}${callers.length > NAMED ? ' and others' : ''}`;
      return diagnostic(
        'changed-type',
        `the type of ${name} changed, and pointers to it may be in use: ${who} would look for 0x${now.toString(16)} before it, where the running kernel has 0x${before.toString(16)}`,
        { object: objectName, section: orig.sectionName(symbol), symbol: name },
      );
    });
}

function checksFor(side: Side, symbol: SymbolIndex, wanted: number): boolean {
  return typeChecks(side.object.machine, side.bytes(symbol)).some(({ hash }) => hash === wanted);
}
