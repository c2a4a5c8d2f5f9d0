import { RELA_WORDS, R_ADDEND, R_SYM, s64, type SectionIndex, type SymbolIndex } from '../../elf';
import { kernelSection } from '../../kernel/sections';
import type { Side } from '../side/side';
import { forEachEntry, specialTables, writtenBytes } from '../scan/entries';

/** Code that boot rewrites: bytes [start, end) of a section of ORIG. */
export interface BootSite {
  section: SectionIndex;
  start: number;
  end: number;
}

/** The boot-rewritten sites within some functions of ORIG, read from its tables in one pass each. */
export function bootSites(orig: Side, functions: readonly SymbolIndex[]): BootSite[] {
  const { object, table, identity } = orig;
  const sites: BootSite[] = [];
  const sections = new Set(functions.map((symbol) => table.section[symbol]!));
  for (let section = 1; section < table.sections; section++) {
    const relas = table.relaSection[section]!;
    if (relas === 0 || !isTableName(object.bytes, object.nameOffset(section))) continue;
    const length = kernelSection(object.name(section))?.writes;
    if (length === undefined) continue;
    const words = object.relas(relas);
    for (let at = 0; at < words.length; at += RELA_WORDS) {
      const symbol = words[at + R_SYM]!;
      if (symbol >= table.symbols || !sections.has(table.section[symbol]!)) continue;
      const start = table.value[symbol]! + s64(words, at + R_ADDEND);
      sites.push({ section: table.section[symbol]!, start, end: start + length });
    }
  }
  for (const special of specialTables(identity, orig.structSizes, [])) {
    const { replacement, writes } = special.rules;
    if (replacement === undefined && writes === undefined) continue;
    forEachEntry(identity, special, ({ owner, site, start }) => {
      if (!sections.has(table.section[owner]!)) return;
      const from = table.value[owner]! + site;
      sites.push({ section: table.section[owner]!, start: from, end: from + writtenBytes(object, special, start) });
    });
  }
  return sites;
}

/** Whether the name can be one of ADDRESS_TABLES, by its first letters: most sections are `.text.X`. */
function isTableName(bytes: Uint8Array, at: number): boolean {
  const first = bytes[at];
  const second = bytes[at + 1];
  return (
    (first === 0x2e && (second === 0x72 || second === 0x63 || second === 0x69)) ||
    (first === 0x5f && second === 0x5f && bytes[at + 2] === 0x6d)
  );
}
