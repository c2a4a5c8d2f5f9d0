import { Trait, type ScanTable } from './table';

/**
 * Indexes the sized symbols of every section by address, and unites aliases.
 *
 * A counting sort by section, then by (value, size) within one: most sections hold a single function, so the inner
 * sort nearly never runs. Aliases (same section, value, size) get one canonical symbol, the one with the smallest
 * base-name hash: unlike the order of the symbol table this does not change when a patch reorders them.
 */
export function indexCovers(table: ScanTable): void {
  const { section, covers, coverStart, symbols, sections } = table;
  const counts = coverStart;
  for (let symbol = 1; symbol < symbols; symbol++) if (isCover(table, symbol)) counts[section[symbol]! + 1]!++;
  for (let s = 0; s < sections; s++) counts[s + 1]! += counts[s]!;
  const next = counts.slice(0, sections);
  for (let symbol = 1; symbol < symbols; symbol++) {
    if (!isCover(table, symbol)) continue;
    const at = next[section[symbol]!]!++;
    covers[at] = symbol;
  }
  for (let s = 1; s < sections; s++) if (coverStart[s + 1]! - coverStart[s]! > 1) orderSection(table, coverStart[s]!, coverStart[s + 1]!);
}

/** Sorts the covers of one section, which several symbols share. */
function orderSection(table: ScanTable, from: number, to: number): void {
  const { covers, value, size } = table;
  covers.subarray(from, to).sort((a, b) => value[a]! - value[b]! || size[b]! - size[a]! || a - b);
  uniteAliases(table, from, to);
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

/** Sized and defined in a section; padding belongs to the function behind it. */
function isCover({ traits, size, section, sections }: ScanTable, symbol: number): boolean {
  const bits = traits[symbol]!;
  return (bits & (Trait.FUNC | Trait.OBJECT | Trait.CONTENT)) !== 0 && (bits & Trait.PREFIX) === 0 && size[symbol]! > 0 && section[symbol]! < sections;
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
