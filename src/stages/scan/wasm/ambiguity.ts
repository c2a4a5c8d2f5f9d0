/** Which names prove nothing. */
import { addTrait, canonicalOf, digest, highHash, lowHash, symbols, traitsOf } from './columns';
import {
  TRAIT_AMBIGUOUS,
  TRAIT_CORRELATABLE,
  TRAIT_NUMBERED,
  TRAIT_PROMOTED,
  TRAIT_UNIT_LOCAL,
  TRAIT_WRITABLE,
} from '../generated/constants';

/** Any unit's `state` may be the one that LTO promotes in the next build. */
const PROMOTED_VARIABLE: u32 = TRAIT_PROMOTED | TRAIT_WRITABLE;
const NUMBERED_VARIABLE: u32 = TRAIT_NUMBERED | TRAIT_WRITABLE | TRAIT_UNIT_LOCAL;

/**
 * Marks correlatable symbols whose base name proves nothing, so that digests note where each of them is used.
 *
 * 926 functions of a 7.2 kernel share 336 names (`type_show` 17 times). A numbered writable local is marked even when it
 * is alone: `counter.5` of one function may be gone and the patched build's `counter.7` belong to another.
 */
export function markAmbiguous(from: u32, to: u32): void {
  // The hash table lies in the digest column, which is empty so far: two to four words a symbol.
  const slots = digest;
  const mask = capacity() - 1;
  for (let symbol = from; symbol < to; symbol++) {
    const bits = traitsOf(symbol);
    if ((bits & TRAIT_CORRELATABLE) == 0) continue;
    if ((bits & NUMBERED_VARIABLE) == NUMBERED_VARIABLE || (bits & PROMOTED_VARIABLE) == PROMOTED_VARIABLE)
      addTrait(symbol, TRAIT_AMBIGUOUS);
    const low = lowHash(symbol);
    const high = highHash(symbol);
    for (let slot = ((low ^ (high >>> 7)) * 0x9e3779b1) & mask; ; slot = (slot + 1) & mask) {
      const other = load<u32>(slots + ((<usize>slot) << 2));
      if (other == 0) {
        store<u32>(slots + ((<usize>slot) << 2), symbol);
        break;
      }
      if (lowHash(other) == low && highHash(other) == high) {
        // References are by canonical alias: mark that one too.
        addTrait(symbol, TRAIT_AMBIGUOUS);
        addTrait(other, TRAIT_AMBIGUOUS);
        addTrait(canonicalOf(symbol), TRAIT_AMBIGUOUS);
        addTrait(canonicalOf(other), TRAIT_AMBIGUOUS);
        break;
      }
    }
  }
}

/** Empties the digest column again. */
export function clearSlots(): void {
  if (symbols > 0) memory.fill(digest, 0, (<usize>capacity()) << 2);
}

function capacity(): u32 {
  let slots: u32 = 4;
  while (slots < symbols * 2) slots *= 2;
  return slots;
}
