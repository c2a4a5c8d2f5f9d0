import { RELA_WORDS, R_OFFSET, u64 } from '../../elf';
import { put } from '../../lists';
import { entriesOf, lineOf } from '../compare/entries';
import { describeTarget, resolveTarget } from '../places/target';
import type { Decoded } from '../side/decoded';

/** What people call the entries of a table. */
const CALLED: Readonly<Record<string, string>> = {
  '.altinstructions': 'alternative',
  __bug_table: 'bug',
  __ex_table: 'exception',
};

/** What special sections say about a function's instructions, in words, by the offset of their sites. */
export function notesBySite({ side, symbol }: Decoded): ReadonlyMap<number, string[]> {
  const notes = new Map<number, string[]>();
  if (symbol === 0) return notes;
  for (const entry of entriesOf(side, symbol)) {
    const { rules, section } = entry.table;
    const { words, at, stop } = entry.relas;
    const parts: string[] = [];
    for (let i = at; i < stop; i += RELA_WORDS) {
      const offset = u64(words, i + R_OFFSET);
      if (offset - entry.start === rules.site) continue;
      const target = resolveTarget(side, { words, at: i, offset }, section, 0);
      // A place in the function itself, by its offset there.
      parts.push(target.symbol === symbol ? `+0x${target.delta.toString(16)}` : describeTarget(side, target));
    }
    const line = lineOf(side, entry);
    const name = rules.key ?? CALLED[rules.name] ?? rules.name;
    put(notes, entry.site, `${name} ${parts.join(', ')}${line === undefined ? '' : ` line ${line}`}`.trim());
  }
  return notes;
}
