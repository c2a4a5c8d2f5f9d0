/** Digests of contents that many refer to, by symbol; a full place is taken over. */
const PLACES: u32 = 1 << 13;
const PLACE: u32 = 32;
export const MEMO: u32 = PLACES * PLACE;

export let memo: usize = 0;

// @ts-ignore: decorator
@inline
function placeOf(symbol: u32): usize {
  return memo + (symbol & (PLACES - 1)) * PLACE;
}

/** The kept digest of a symbol, 0 for none. */
export function kept(symbol: u32): usize {
  const place = placeOf(symbol);
  return load<u32>(place, 16) == symbol ? place : 0;
}

export function keep(symbol: u32, digest: usize): void {
  const place = placeOf(symbol);
  memory.copy(place, digest, 16);
  store<u32>(place, symbol, 16);
}
