/** Shortest copy: lengths count from it. */
const SHORTEST = 4;
/** What a length's four bits say where bytes follow, each but the last 255. */
const LONG = 15;

/** The form of LZ4 that kernels are compressed in (`lz4 -l`): blocks, each behind its length, of the format of lz4's doc/lz4_Block_format.md. @throws RangeError */
export function unpackLz4(stream: Uint8Array, size: number): Uint8Array {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  const out = new Uint8Array(size);
  let end = 0;
  for (let at = 4; at + 4 <= stream.length; ) {
    const stop = at + 4 + view.getUint32(at, true);
    if (stop > stream.length) throw new RangeError('a block runs past the end');
    end = unpackBlock(stream.subarray(at + 4, stop), out, end);
    at = stop;
  }
  return out.subarray(0, end);
}

/** A block is sequences of literals and a copy of what came before; the last has literals alone. @returns where its bytes end */
function unpackBlock(block: Uint8Array, out: Uint8Array, start: number): number {
  let from = 0;
  let to = start;
  const length = (bits: number): number => {
    let sum = bits;
    for (let byte = bits === LONG ? 255 : 0; byte === 255; sum += byte) byte = block[from++] ?? 0;
    return sum;
  };
  while (from < block.length) {
    const token = block[from++]!;
    const literals = length(token >>> 4);
    if (from + literals > block.length || to + literals > out.length) throw new RangeError('literals run past the end');
    out.set(block.subarray(from, from + literals), to);
    [from, to] = [from + literals, to + literals];
    if (from >= block.length) break;
    const distance = block[from]! | (block[from + 1]! << 8);
    from += 2;
    const count = length(token & 15) + SHORTEST;
    if (distance === 0 || distance > to - start || to + count > out.length)
      throw new RangeError('a copy from beyond the block');
    // Byte by byte where the copy overlaps what it makes.
    if (distance >= count) out.copyWithin(to, to - distance, to - distance + count);
    else for (let i = to; i < to + count; i++) out[i] = out[i - distance]!;
    to += count;
  }
  return to;
}
