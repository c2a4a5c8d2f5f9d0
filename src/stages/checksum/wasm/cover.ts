/** Which symbol lies at a place. */
import { STT_FUNC } from '../generated/constants';
import { canonicalOf, firstPlaced, lastPlaced, placedAt, reachAt, sizeOf, valueOf } from './memory';
import { typeOf } from './symbols';

/** Number of the first symbol of `section` that starts behind `offset`. */
export function behind(section: u32, offset: i64): u32 {
  let low = firstPlaced(section);
  let high = lastPlaced(section);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (valueOf(placedAt(middle)) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The smallest symbol that covers a place, by its canonical name; 0 where none does. */
export function covering(section: u32, offset: i64): u32 {
  const first = firstPlaced(section);
  let found: u32 = 0;
  for (let i = behind(section, offset); i > first && reachAt(i - 1) > offset; i--) {
    const symbol = placedAt(i - 1);
    const size = sizeOf(symbol);
    if (size > 0 && valueOf(symbol) + size > offset && (found == 0 || size <= sizeOf(found))) found = symbol;
  }
  return found == 0 ? 0 : canonicalOf(found);
}

/** What a call to this place calls: a function that starts there, else any symbol there; 0 for none. */
export function calledAt(section: u32, offset: i64): u32 {
  const from = behind(section, offset - 1);
  const last = lastPlaced(section);
  for (let i = from; i < last && valueOf(placedAt(i)) == offset; i++)
    if (typeOf(placedAt(i)) == STT_FUNC) return canonicalOf(placedAt(i));
  return from < last && valueOf(placedAt(from)) == offset ? canonicalOf(placedAt(from)) : 0;
}
