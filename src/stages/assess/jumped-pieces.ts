import type { SymbolIndex } from '../../elf';
import { originOf } from '../correlate';
import type { Verdict } from '../compare';
import { Trait } from '../scan';
import type { Side } from '../side/side';
import { FtraceSites } from './ftrace-sites';
import { jumpersInto } from './jumpers';
import type { Pieces } from './pieces';
import { referencesFrom, usersOf } from './references';
import type { AssessInput } from './types';

const CHANGED = { status: 'changed', class: 'code', first: null } as const;

/**
 * Code that jumps into the middle of a function runs a part of it, whatever the two are called. Where nothing but that function uses it, it
 * is a piece (blocks that -fbasic-block-sections puts into sections of their own, under whatever name), and changes and goes with it; else
 * it is a function that changes with the one that it jumps into, as assembly that shares a tail.
 *
 * @param pieces PATCHED's, to which those found here are added
 */
export function foldJumpers(
  { pairing, patched, unpaired }: Pick<AssessInput, 'pairing' | 'patched' | 'unpaired'>,
  verdicts: readonly Verdict[],
  pieces: Pieces,
): Verdict[] {
  const { table } = patched;
  const isCode = (symbol: SymbolIndex): boolean => symbol !== 0 && !table.has(symbol, Trait.OBJECT);
  const changed = new Map<number, Verdict>();
  for (const verdict of verdicts)
    if (verdict.status === 'changed' && isCode(verdict.patched)) changed.set(verdict.patched, verdict);
  const raised = new Map<number, Verdict>();
  const raise = (symbol: SymbolIndex, like: Pick<Verdict, 'status' | 'class' | 'first'> = CHANGED): void => {
    const origin = originOf(pairing, symbol);
    if (origin !== 0 && !changed.has(symbol) && !raised.has(symbol))
      raised.set(symbol, { ...like, orig: origin, patched: symbol });
  };
  const fresh = unpaired.patched.filter((symbol) => isCode(symbol) && table.canonical[symbol] === symbol);
  const seen = new Set<number>();
  const next = new Set([...changed.keys(), ...fresh]);
  const join = (jumper: number, into: number, changes: boolean): void => {
    const parent = pieces.parentOf(into) || into;
    if (jumper === parent || !isCode(jumper)) return;
    if (pieces.parentOf(jumper) === 0 && isPieceOf(patched, jumper, parent, pieces)) pieces.add(jumper, parent);
    const isPiece = pieces.parentOf(jumper) === parent;
    if (isPiece) raise(parent, changed.get(jumper));
    else if (changes && pieces.parentOf(jumper) === 0) raise(jumper);
    else return;
    for (const symbol of [jumper, parent]) if (!seen.has(symbol)) next.add(symbol);
  };
  while (next.size > 0) {
    const open = new Set(next);
    next.clear();
    for (const symbol of open) seen.add(symbol);
    for (const symbol of open) {
      const into = middleReached(patched, symbol);
      if (into !== 0) join(symbol, into, false);
    }
    for (const { symbol, target } of jumpersInto(patched, open)) join(symbol, target, true);
  }
  const own = (symbol: SymbolIndex): boolean => pieces.parentOf(symbol) === 0 || !isCode(symbol);
  return [...verdicts, ...raised.values()].filter(({ status, patched: symbol }) => status !== 'changed' || own(symbol));
}

/** The function into whose middle code jumps; 0 for none. */
function middleReached(side: Side, from: number): number {
  const { section, start, end } = side.rangeOf(from);
  if (section >= side.table.sections) return 0;
  const found = referencesFrom(side, section, start, end).find(
    ({ symbol, branch, inside }) => branch && inside !== 0 && symbol !== 0 && symbol !== from,
  );
  return found?.symbol ?? 0;
}

/** Whether code that jumps into a function is a part of it: nothing else uses it, nobody else may, and ftrace has no hold of it. */
function isPieceOf(side: Side, symbol: SymbolIndex, parent: number, pieces: Pieces): boolean {
  if (!side.table.isLocal(symbol) || FtraceSites.of(side).siteOf(symbol) !== undefined) return false;
  const users = usersOf(side, new Set([symbol])).get(symbol) ?? [];
  const belongs = (user: number): boolean => user === symbol || user === parent || pieces.parentOf(user) === parent;
  return users.length > 0 && users.every(({ symbol: user, branch }) => branch && belongs(user));
}
