/** Which symbol covers a place. */
import { aroundCover, canonicalOf, cover, firstCover, lastCover, sizeOf, soleOf, startOf } from './columns';

/** The smallest sized symbol of `section` that covers `offset`, canonical; 0 if none. */
export function coverAt(section: u32, offset: i64): u32 {
  const from = firstCover(section);
  let best: u32 = 0;
  for (let i = above(section, offset); i > from; ) {
    const symbol = cover(i - 1);
    // What begins before it and still reaches the offset is larger.
    if (best != 0 && offset - startOf(symbol) >= sizeOf(best)) break;
    if (startOf(symbol) + sizeOf(symbol) > offset) {
      if (best == 0 || sizeOf(symbol) < sizeOf(best)) best = symbol;
      i--;
    } else {
      // Those between end no later: one function around 100,000 labels must not be found by way of them all.
      i = aroundCover(i - 1);
    }
  }
  return best == 0 ? 0 : canonicalOf(best);
}

/** The symbol that a place belongs to; 0 for anonymous data. */
export function objectAt(section: u32, offset: i64): u32 {
  const only = soleOf(section);
  if (only != 0) return only;
  // End pointers: one past an object belongs to it, unless another begins there.
  const symbol = coverAt(section, offset);
  return symbol != 0 ? symbol : coverAt(section, offset - 1);
}

/** Where the next symbol after `offset` begins, or `size`. */
export function nextCover(section: u32, offset: i64, size: i64): i64 {
  const next = above(section, offset);
  return next < lastCover(section) ? startOf(cover(next)) : size;
}

/** The object that begins last before `offset`, canonical; 0 if none does. */
export function objectBefore(section: u32, offset: i64): u32 {
  const next = above(section, offset - 1);
  return next > firstCover(section) ? canonicalOf(cover(next - 1)) : 0;
}

/** The object that begins first behind `offset`, canonical; 0 if none does. */
export function objectBehind(section: u32, offset: i64): u32 {
  const next = above(section, offset);
  return next < lastCover(section) ? canonicalOf(cover(next)) : 0;
}

/** Number of the first cover that begins behind `offset`. */
// @ts-ignore: decorator
@inline
function above(section: u32, offset: i64): u32 {
  let low = firstCover(section);
  let high = lastCover(section);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (startOf(cover(middle)) > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Where the last symbol before `offset`, which none covers, ends; or 0. */
export function lastCovered(section: u32, offset: i64): i64 {
  const from = firstCover(section);
  let end: i64 = 0;
  // One around the last one ends later.
  for (let i = above(section, offset); i > from; i = aroundCover(i - 1))
    end = max(end, startOf(cover(i - 1)) + sizeOf(cover(i - 1)));
  return end;
}
