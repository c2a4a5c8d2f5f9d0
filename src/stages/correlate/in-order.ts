import type { SymbolIndex } from '../../elf';
import { Trait, type ScanTable } from '../scan';
import type { Pairing } from './pairing';

/** How far ahead PATCHED's next symbol is looked for: a fix adds a few symbols in one place. */
const AHEAD = 16;

/**
 * Pairs what stands in the same order in both tables, as nearly all symbols of two builds do: those of a name that no other symbol
 * of their object has, of one type and one scope. Finds nothing that the join by key would not, only without its hash table, whose
 * 300,000 probes miss the cache.
 */
export function joinInOrder(pairing: Pairing): void {
  const { orig, patched } = pairing;
  let next = 0;
  for (let i = 0; i < orig.listedCount; i++) {
    const symbol = orig.listed[i]!;
    if (!isSoleName(orig, symbol)) continue;
    const stop = Math.min(next + AHEAD, patched.listedCount);
    for (let j = next; j < stop; j++) {
      const other = patched.listed[j]!;
      if (!isSoleName(patched, other)) {
        // Whatever pairs these, it is not their place.
        if (j === next) next++;
        continue;
      }
      if (
        orig.hash[symbol * 2] !== patched.hash[other * 2] ||
        orig.hash[symbol * 2 + 1] !== patched.hash[other * 2 + 1]
      )
        continue;
      if (sameScope(pairing, symbol, other)) pairing.pair(symbol, other, 'name');
      next = j + 1;
      break;
    }
  }
}

function isSoleName({ traits }: ScanTable, symbol: SymbolIndex): boolean {
  return (traits[symbol]! & (Trait.CORRELATABLE | Trait.AMBIGUOUS)) === Trait.CORRELATABLE;
}

/** Of one type, and of twin units, of none, or both promoted out of theirs. */
function sameScope({ orig, patched, unitTwin }: Pairing, a: number, b: number): boolean {
  if (((orig.info[a]! ^ patched.info[b]!) & 0xf) !== 0) return false;
  if (((orig.traits[a]! | patched.traits[b]!) & Trait.PROMOTED) !== 0)
    return (orig.traits[a]! & patched.traits[b]! & Trait.PROMOTED) !== 0;
  const unit = orig.file[a]!;
  return unit === 0 ? patched.file[b] === 0 : unitTwin[unit] !== 0 && unitTwin[unit] === patched.file[b];
}
