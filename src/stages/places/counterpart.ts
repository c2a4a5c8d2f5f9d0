import { originOf, twinOf, type Pairing } from '../correlate';
import type { Side } from '../side/side';
import { sameSymbol } from '../correlate/same-symbol';
import { forget } from './meanings';
import type { Reading } from '../side/reading';

/** Lets each build of a pair be evidence for what the other's references mean. */
export function meet(pairing: Pairing, orig: Side, patched: Side): void {
  if (orig.counterpart?.side === patched && orig.counterpart.pairing === pairing) return;
  const isEnd = ({ table }: Side, { symbol, delta }: Reading): boolean => delta === table.size[symbol]! && delta !== 0;
  const same = (a: Reading, b: Reading): boolean =>
    a.symbol === 0 || b.symbol === 0 ? a.symbol === b.symbol : isSamePlace(a, b);
  const isSamePlace = (a: Reading, b: Reading): boolean =>
    (a.delta === b.delta || (isEnd(orig, a) && isEnd(patched, b))) && sameSymbol(pairing, a.symbol, b.symbol);
  orig.counterpart = { side: patched, pairing, twinOf: (symbol) => twinOf(pairing, symbol), same };
  patched.counterpart = {
    side: orig,
    pairing,
    twinOf: (symbol) => originOf(pairing, symbol),
    same: (own, other) => same(other, own),
  };
  forget(orig);
  forget(patched);
}
