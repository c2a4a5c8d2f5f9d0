import { SHN_UNDEF } from '../../elf';
import { Kind, Trait, type ScanTable } from './table';

/**
 * Indexes the sized symbols of every section by address, and unites aliases.
 *
 * A counting sort by section, then by (value, size) within one: most sections hold a single function, so the inner
 * sort nearly never runs. Aliases (same section, value, size) get one canonical symbol, the one with the smallest
 * base-name hash: unlike the order of the symbol table this does not change when a patch reorders them.
 */
export function indexCovers(table: ScanTable): void {
  const { section, covers, coverStart, value, size } = table;
  const counts = coverStart;
  for (let symbol = 1; symbol < table.symbols; symbol++) if (isCover(table, symbol)) counts[section[symbol]! + 1]!++;
  for (let s = 0; s < table.sections; s++) counts[s + 1]! += counts[s]!;
  const next = counts.slice(0, table.sections);
  for (let symbol = 1; symbol < table.symbols; symbol++) if (isCover(table, symbol)) covers[next[section[symbol]!]!++] = symbol;

  for (let s = 1; s < table.sections; s++) {
    const from = coverStart[s]!;
    const to = coverStart[s + 1]!;
    if (to - from > 1) covers.subarray(from, to).sort((a, b) => value[a]! - value[b]! || size[b]! - size[a]! || a - b);
    let end = 0;
    for (let i = from; i < to; i++) {
      const symbol = covers[i]!;
      end = Math.max(end, value[symbol]! + size[symbol]!);
      table.coverEnd[i] = end;
    }
    if (to - from > 1) uniteAliases(table, from, to);
  }
}

function uniteAliases(table: ScanTable, from: number, to: number): void {
  const { covers, value, size, hash, canonical, traits } = table;
  for (let first = from; first < to; ) {
    let last = first + 1;
    while (last < to && value[covers[last]!] === value[covers[first]!] && size[covers[last]!] === size[covers[first]!]) last++;
    if (last - first > 1) {
      let chosen = covers[first]!;
      for (let i = first + 1; i < last; i++) {
        const other = covers[i]!;
        const order = rank(table, other) - rank(table, chosen) || hash[other * 2]! - hash[chosen * 2]! || hash[other * 2 + 1]! - hash[chosen * 2 + 1]!;
        if (order < 0) chosen = other;
      }
      for (let i = first; i < last; i++) {
        const symbol = covers[i]!;
        canonical[symbol] = chosen;
        if (symbol !== chosen) traits[symbol]! |= Trait.ALIAS;
      }
    }
    first = last;
  }
}

/** Functions and objects stand for NOTYPE labels, correlatable symbols for the others. */
function rank(table: ScanTable, symbol: number): number {
  return (table.has(symbol, Trait.FUNC | Trait.OBJECT) ? 0 : 2) + (table.has(symbol, Trait.CORRELATABLE) ? 0 : 1);
}

function isCover(table: ScanTable, symbol: number): boolean {
  const s = table.section[symbol]!;
  return s !== SHN_UNDEF && s < table.sections && table.size[symbol]! > 0 && table.kind[symbol] !== Kind.NONE
    && (table.traits[symbol]! & (Trait.PREFIX)) === 0 && (table.traits[symbol]! & (Trait.FUNC | Trait.OBJECT | Trait.CONTENT)) !== 0;
}

/** The smallest sized symbol of `section` that covers `offset`, canonical; 0 if none. */
export function coverAt(table: ScanTable, section: number, offset: number): number {
  const { covers, coverStart, coverEnd, value, size } = table;
  const from = coverStart[section]!;
  let low = from;
  let high = coverStart[section + 1]!;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value[covers[middle]!]! <= offset) low = middle + 1;
    else high = middle;
  }
  let best = 0;
  for (let i = low - 1; i >= from && coverEnd[i]! > offset; i--) {
    const symbol = covers[i]!;
    if (value[symbol]! + size[symbol]! > offset && (best === 0 || size[symbol]! < size[best]!)) best = symbol;
  }
  return best === 0 ? 0 : table.canonical[best]!;
}
