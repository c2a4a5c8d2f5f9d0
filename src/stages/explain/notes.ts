import { RELA_WORDS, R_OFFSET, u64, type Offset } from '../../elf';
import { RUNTIME_SPECIAL } from '../../kernel/special-sections';
import { runtimeConstantOf } from '../../kernel/runtime-constants';
import { entriesOf, entryName, lineOf, replacementOf } from '../compare/entries';
import { describe } from '../compare/words';
import { describeTarget, resolveTarget } from '../places/target';
import { decodeRange, type Decoded } from '../side/decoded';
import type { Side } from '../side/side';

/** What a special section says about an instruction of a function, in words. */
export interface SiteNote {
  offset: Offset;
  text: string;
}

/** All that special sections say about a function, by where that is. */
export function siteNotes({ side, symbol }: Decoded): SiteNote[] {
  if (symbol === 0) return [];
  return entriesOf(side, symbol)
    .map((entry) => ({ offset: entry.site, text: wordsOf(side, symbol, entry) }))
    .sort((a, b) => a.offset - b.offset);
}

function wordsOf(side: Side, symbol: number, entry: ReturnType<typeof entriesOf>[number]): string {
  const { rules, section, special } = entry.table;
  if (special === RUNTIME_SPECIAL) {
    const { kind, variable } = runtimeConstantOf(side.object.name(section))!;
    return `${entryName(entry)} ${variable} (${kind}): a livepatch reads the variable`;
  }
  // What stands in its site's place, not where that is kept: every alternative that is put in before moves it.
  if (rules.replacement !== undefined) return `${entryName(entry)}: ${replacement(side, entry)}`;
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
  return `${entryName(entry)} ${parts.join(', ')}${line === undefined ? '' : ` line ${line}`}`.trim();
}

/** An alternative by the feature of the processor that it is for, and its instructions. */
function replacement(side: Side, { table, start, ...entry }: ReturnType<typeof entriesOf>[number]): string {
  const { object, disassembler } = side;
  // The feature's number is what an entry's meaning begins with.
  const [low, high] = object.content(table.section).subarray(start + (table.meaning[0]?.[0] ?? 0));
  const feature = object.little ? low! | (high! << 8) : (low! << 8) | high!;
  const range = replacementOf(side, table, { start, ...entry });
  const code = range === undefined ? undefined : decodeRange(side, range, disassembler);
  const texts = code?.instructions.map((_, i) => describe(code, i, disassembler)) ?? [];
  return `with feature ${feature} ${texts.length === 0 ? 'nothing' : texts.join('; ')}`;
}
