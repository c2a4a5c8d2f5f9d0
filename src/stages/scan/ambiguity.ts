import { Trait, type ScanTable } from './table';

/** Any unit's `state` may be the one that LTO promotes in the next build. */
const PROMOTED_VARIABLE = Trait.PROMOTED | Trait.WRITABLE;
const NUMBERED_VARIABLE = Trait.NUMBERED | Trait.WRITABLE | Trait.UNIT_LOCAL;

/**
 * Marks correlatable symbols whose base name proves nothing, so that `identity` notes where each of them is used.
 *
 * 926 functions of a 7.2 kernel share 336 names (`type_show` 17 times). A numbered writable local is marked even when it
 * is alone: `counter.5` of one function may be gone and the patched build's `counter.7` belong to another.
 */
export function markAmbiguous(table: ScanTable): void {
  const { hash, traits, canonical } = table;
  let capacity = 1024;
  while (capacity < table.symbols * 2) capacity *= 2;
  const slots = new Uint32Array(capacity);
  for (let symbol = 1; symbol < table.symbols; symbol++) {
    if ((traits[symbol]! & Trait.CORRELATABLE) === 0) continue;
    if ((traits[symbol]! & NUMBERED_VARIABLE) === NUMBERED_VARIABLE || (traits[symbol]! & PROMOTED_VARIABLE) === PROMOTED_VARIABLE) traits[symbol]! |= Trait.AMBIGUOUS;
    const low = hash[symbol * 2]!;
    const high = hash[symbol * 2 + 1]!;
    let slot = Math.imul(low ^ (high >>> 7), 0x9e3779b1) >>> 0 & (capacity - 1);
    for (;;) {
      const other = slots[slot]!;
      if (other === 0) {
        slots[slot] = symbol;
        break;
      }
      if (hash[other * 2] === low && hash[other * 2 + 1] === high) {
        // References are by canonical alias: mark that one too.
        traits[symbol]! |= Trait.AMBIGUOUS;
        traits[other]! |= Trait.AMBIGUOUS;
        traits[canonical[symbol]!]! |= Trait.AMBIGUOUS;
        traits[canonical[other]!]! |= Trait.AMBIGUOUS;
        break;
      }
      slot = (slot + 1) & (capacity - 1);
    }
  }
}
