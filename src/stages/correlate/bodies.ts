import type { SymbolIndex } from '../../elf';
import type { ScanTable } from '../scan';
import { sameContent } from './evidence';
import type { Pairing } from './pairing';

/** All names of a canonical symbol's body, itself first, the others in symbol-table order. */
export function namesOf(table: ScanTable, canonical: SymbolIndex): number[] {
  const { covers, coverStart, value, size, section } = table;
  const place = section[canonical]!;
  if (place >= table.sections) return [canonical];
  // Covers are ordered by value, then by falling size: names of one body lie side by side. A merged .text has 100,000.
  let low = coverStart[place]!;
  let high = coverStart[place + 1]!;
  const stop = high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const symbol = covers[middle]!;
    if (value[symbol]! < value[canonical]! || (value[symbol] === value[canonical] && size[symbol]! > size[canonical]!))
      low = middle + 1;
    else high = middle;
  }
  const names = [canonical];
  for (let i = low; i < stop && value[covers[i]!] === value[canonical] && size[covers[i]!] === size[canonical]; i++) {
    const symbol = covers[i]!;
    if (symbol !== canonical && table.canonical[symbol] === canonical) names.push(symbol);
  }
  return names;
}

/** PATCHED's twin of a canonical ORIG symbol, canonical, by any of the body's names; 0 for none. */
export function twinOf({ orig, patched, twin }: Pairing, symbol: SymbolIndex): SymbolIndex {
  return throughNames(orig, symbol, twin, patched);
}

/** ORIG's twin of a canonical PATCHED symbol, canonical, by any of the body's names; 0 for none. */
export function originOf({ orig, patched, origin }: Pairing, symbol: SymbolIndex): SymbolIndex {
  return throughNames(patched, symbol, origin, orig);
}

function throughNames(table: ScanTable, symbol: SymbolIndex, paired: Uint32Array, other: ScanTable): number {
  let found = 0;
  // The canonical name may be gone while the body's other names are paired, and they may lead to several bodies: an alias that has
  // another target now. The equal one is meant; a name alone is no more than where somebody once pointed.
  for (const name of namesOf(table, symbol)) {
    if (paired[name] === 0) continue;
    const twin = other.canonical[paired[name]!]!;
    if (found === 0) found = twin;
    else if (twin !== found && sameContent(table, symbol, other, twin) && !sameContent(table, symbol, other, found))
      found = twin;
  }
  return found;
}
