/** A 16-bit number as bytes, and a 32-bit one; little-endian. */
export function half(value: number): [number, number] {
  return [value & 0xff, (value >>> 8) & 0xff];
}

export function word(value: number): [number, number, number, number] {
  return [...half(value), ...half(value >>> 16)];
}
