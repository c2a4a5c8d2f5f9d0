import { twinOf, originOf, type Pairing } from '../correlate';
import { unitNameOf } from '../assess/names';
import { put } from '../../lists';
import { Trait } from '../scan';
import type { Side } from '../side/side';
import { explained, verdictOf, type Judged, type SymbolExplanation } from '.';

/** A function as `diff` lists it. */
export interface Listed {
  state: 'changed' | 'new' | 'removed' | 'carried' | 'ignored';
  name: string;
  /** Its unit, where the list says. */
  file: string | null;
}

/**
 * Explains functions that `diff` listed, in the order of the list; null for one that is not found. Names are looked up in one pass: a kernel has
 * 300,000, and a report may have thousands.
 */
export function explainListed(
  pairing: Pairing,
  orig: Side,
  patched: Side,
  wanted: readonly Listed[],
  context: number,
): Array<SymbolExplanation | null> {
  const ours = byName(orig, new Set(wanted.filter(({ state }) => state !== 'new').map(({ name }) => name)));
  const theirs = byName(patched, new Set(wanted.filter(({ state }) => state === 'new').map(({ name }) => name)));
  const taken = new Set<Judged>();
  const judged = new Map<string, Judged[]>();
  return wanted.map(({ state, name, file }) => {
    const key = `${state === 'new'} ${name}`;
    let all = judged.get(key);
    if (all === undefined) {
      all = (state === 'new' ? (theirs.get(name) ?? []) : (ours.get(name) ?? [])).map((symbol) => {
        const subject =
          state === 'new'
            ? { named: 0, a: originOf(pairing, symbol), b: symbol }
            : { named: symbol, a: symbol, b: twinOf(pairing, symbol) };
        return { ...subject, verdict: verdictOf(pairing, orig, patched, subject) };
      });
      judged.set(key, all);
    }
    const fits = ({ a, b, verdict }: Judged): boolean =>
      (state === 'new' ? a === 0 : state === 'removed' ? b === 0 : state === 'carried' || verdict?.status === state) &&
      (file === null || unitNameOf(a === 0 ? patched : orig, a === 0 ? b : a) === file);
    const free = all.filter((one) => !taken.has(one));
    // A function that counts as changed for code that belongs to it (a cold part) is the same by itself.
    const found = free.find(fits) ?? free[0];
    if (found === undefined) return null;
    taken.add(found);
    return explained(pairing, orig, patched, found, { others: [], context, users: false });
  });
}

/** Canonical functions of these names, in table order. */
function byName(side: Side, names: ReadonlySet<string>): Map<string, number[]> {
  const { table } = side;
  const lengths = new Set([...names].map((name) => Buffer.byteLength(name)));
  const found = new Map<string, number[]>();
  for (let symbol = 1; symbol < table.symbols; symbol++) {
    if (!lengths.has(table.nameLength[symbol]!) || !table.has(symbol, Trait.CONTENT) || table.has(symbol, Trait.OBJECT))
      continue;
    const name = side.name(symbol);
    if (names.has(name)) put(found, name, table.canonical[symbol]!);
  }
  return found;
}
