/**
 * Stores a 64-bit field. Negative values are stored in two's complement, as addends are.
 * @throws RangeError for a number that is not an exact integer, or a bigint outside 64 bits
 */
export function setU64(view: DataView, at: number, value: number | bigint, little: boolean): void {
  if (typeof value === 'bigint') {
    if (BigInt.asUintN(64, value) !== value && BigInt.asIntN(64, value) !== value)
      throw new RangeError(`${value} does not fit into 64 bits`);
    view.setBigUint64(at, BigInt.asUintN(64, value), little);
    return;
  }
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not an exact integer`);
  const low = value >>> 0;
  const high = Math.floor(value / 0x100000000) >>> 0;
  view.setUint32(at, little ? low : high, little);
  view.setUint32(at + 4, little ? high : low, little);
}
