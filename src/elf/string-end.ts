/** End of the string at `start` in units of `unit` bytes: the first all-zero one, or `limit`. File offsets. */
export function stringEnd(bytes: Uint8Array, start: number, limit: number, unit: number): number {
  for (let at = start; at + unit <= limit; at += unit) {
    let zero = true;
    for (let i = 0; i < unit && zero; i++) zero = bytes[at + i] === 0;
    if (zero) return at;
  }
  return limit;
}
