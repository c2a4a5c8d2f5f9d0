import { malformed } from '../unpack/fail';
import { BLOCK, type KallsymsTables } from './tables';

/** The names of a list in one stretch of bytes, and the letter of each that `nm` would show. */
export interface ListedNames {
  count: number;
  bytes: Uint8Array;
  start: Uint32Array;
  length: Uint16Array;
  letter: Uint8Array;
}

export function isNamed({ bytes, start, length }: ListedNames, entry: number, name: string): boolean {
  if (length[entry] !== name.length) return false;
  const from = start[entry]!;
  let at = 0;
  while (at < name.length && bytes[from + at] === name.charCodeAt(at)) at++;
  return at === name.length;
}

/** Entries of a name in order. The text is searched, as a dozen names are asked for and each walk over 160,000 entries takes milliseconds. */
export function entriesNamed(names: ListedNames, name: string): number[] {
  const { bytes, start, count } = names;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const found: number[] = [];
  for (let at = text.indexOf(name, 0, 'latin1'); at >= 0 && name !== ''; at = text.indexOf(name, at + 1, 'latin1')) {
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (start[middle]! < at) low = middle + 1;
      else high = middle;
    }
    if (start[low] === at && isNamed(names, low, name)) found.push(low);
  }
  return found;
}

/** Takes names out of their tokens; the first character of each is its type. Every marker must agree. @throws KlpflowError `malformed-image` */
export function decodeNames(bytes: Uint8Array, tables: KallsymsTables, path: string): ListedNames {
  const { names, markers, count } = tables;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const tokens = readTokens(bytes, view, tables);
  const starts = new Uint32Array(count);
  const list: ListedNames = {
    count,
    bytes: new Uint8Array(textLength(bytes, tables, tokens, path, starts)),
    start: new Uint32Array(count),
    length: new Uint16Array(count),
    letter: new Uint8Array(count),
  };
  const text = list.bytes;
  let end = 0;
  for (let i = 0; i < count; i++) {
    let at = starts[i]!;
    let length = bytes[at++]!;
    if (length >= 0x80) length = (length & 0x7f) | (bytes[at++]! << 7);
    const from = end;
    for (const stop = at + length; at < stop; at++) {
      const token = bytes[at]!;
      for (let of = tokens.start[token]!, to = tokens.end[token]!; of < to; of++) text[end++] = bytes[of]!;
    }
    if (end - from < 2) malformed(path, starts[i]!, `symbol ${i} of the kernel's list has no name`);
    list.letter[i] = text[from]!;
    list.start[i] = from + 1;
    list.length[i] = end - from - 1;
    if (i % BLOCK === 0 && view.getUint32(markers + (i / BLOCK) * 4, true) !== starts[i]! - names)
      malformed(
        path,
        markers + (i / BLOCK) * 4,
        `marker ${i / BLOCK} of the kernel's list does not lead to symbol ${i}`,
      );
  }
  return list;
}

interface TokenRanges {
  start: Uint32Array;
  end: Uint32Array;
}

function readTokens(bytes: Uint8Array, view: DataView, { tokenTable, tokenIndex }: KallsymsTables): TokenRanges {
  const start = Uint32Array.from({ length: 256 }, (_, i) => tokenTable + view.getUint16(tokenIndex + i * 2, true));
  return { start, end: start.map((from) => bytes.indexOf(0, from)) };
}

/** How many characters there are in all; notes where each name starts. @throws KlpflowError `malformed-image` */
function textLength(
  bytes: Uint8Array,
  { names, markers, count }: KallsymsTables,
  { start, end }: TokenRanges,
  path: string,
  starts: Uint32Array,
): number {
  let total = 0;
  let at = names;
  for (let i = 0; i < count; i++) {
    starts[i] = at;
    let length = bytes[at++]!;
    if (length >= 0x80) length = (length & 0x7f) | (bytes[at++]! << 7);
    if (at + length > markers) malformed(path, at, `symbol ${i} of the kernel's list runs out of its table`);
    for (const stop = at + length; at < stop; at++) total += end[bytes[at]!]! - start[bytes[at]!]!;
  }
  // Padding to 8 at most.
  if (markers - at > 8)
    malformed(path, at, `the names of the kernel's list end ${markers - at} bytes before its markers`);
  return total;
}
