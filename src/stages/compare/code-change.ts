import type { Pairing } from '../correlate';
import type { Decoded } from '../side/decoded';
import { alignCode, type AlignedCode } from './aligned-code';
import type { ChangedReference, CodeChange } from './change';
import type { CodeReference } from './code-lines';
import { countedEntries } from './entries';

/** More names say nothing that these do not; `explain` has all. */
const MOST = 40;

export function codeChange(pairing: Pairing, da: Decoded, db: Decoded): CodeChange {
  const { orig, patched, rows } = alignCode(pairing, da, db);
  let [added, removed, altered] = [0, 0, 0];
  for (const { kind } of rows) {
    if (kind === 'inserted' || kind === 'replaced') added++;
    if (kind === 'deleted' || kind === 'replaced') removed++;
    if (kind === 'argument') altered++;
  }
  const real = (lines: AlignedCode['orig']): number => lines.filter(({ padding }) => !padding).length;
  const counts = new Map<string, { reference: CodeReference; more: number }>();
  const count = (lines: AlignedCode['orig'], step: number): void => {
    for (const { references } of lines)
      for (const reference of references) {
        // Without a name that holds in both builds it tells nothing.
        if (reference.kind === 'data') continue;
        const key = `${reference.kind} ${reference.identity}`;
        const known = counts.get(key) ?? { reference, more: 0 };
        known.more += step;
        counts.set(key, known);
      }
  };
  count(orig, -1);
  count(patched, 1);
  const list = (sign: number): ChangedReference[] =>
    [...counts.values()]
      .filter(({ more }) => more * sign > 0)
      .slice(0, MOST)
      .map(({ reference: { kind, text }, more }) => ({ kind, name: text, times: Math.abs(more) }));
  return {
    instructions: { orig: real(orig), patched: real(patched), added, removed, altered },
    added: list(1),
    removed: list(-1),
    entries: countedEntries(da.side, db.side, da.symbol, db.symbol),
  };
}
