import { STT_FUNC, type SymbolIndex } from '../../elf';
import { twinOf } from '../correlate';
import type { Verdict } from '../compare';
import { Trait } from '../scan';
import type { AssessInput } from './types';

/**
 * Verdicts with those on functions that differ in nothing but a piece without a symbol: what runs after a fault (`.fixup`), or what an
 * alternative puts in. Such a piece goes into a livepatch with its function, so a change of it is a change of the function.
 */
export function withOwnedPieces(
  { pairing, orig, patched, uncovered }: Pick<AssessInput, 'pairing' | 'orig' | 'patched' | 'uncovered'>,
  verdicts: readonly Verdict[],
): Verdict[] {
  const raised = new Map<number, Verdict>();
  const isFunction = ({ table }: AssessInput['orig'], symbol: SymbolIndex): boolean =>
    symbol !== 0 && table.typeOf(symbol) === STT_FUNC && !table.has(symbol, Trait.OBJECT);
  for (const { orig: before, patched: now, owners, section, offset } of uncovered) {
    if (before === null || now === null || owners.patched.length === 0) continue;
    const pairs = owners.orig.map((owner) => [owner, owner === 0 ? 0 : twinOf(pairing, owner)] as const);
    const all = [...pairs.map(([, twin]) => twin), ...owners.patched];
    // One that nobody owns, or that has other owners now, is no function's alone.
    if (
      pairs.some(([owner]) => !isFunction(orig, owner)) ||
      all.some((symbol) => !isFunction(patched, symbol) || !owners.patched.includes(symbol)) ||
      pairs.length !== owners.patched.length
    )
      continue;
    const place = `${section}+0x${offset.toString(16)}`;
    const first = { offset: 0, orig: place, patched: `${place} (changed)` };
    for (const [owner, twin] of pairs)
      raised.set(twin, { orig: owner, patched: twin, status: 'changed', class: 'code', first });
  }
  if (raised.size === 0) return [...verdicts];
  for (const { status, patched: symbol } of verdicts) if (status === 'changed') raised.delete(symbol);
  return [...verdicts.filter(({ patched: symbol }) => !raised.has(symbol)), ...raised.values()];
}
