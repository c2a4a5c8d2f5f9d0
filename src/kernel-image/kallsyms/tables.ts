/**
 * Where the tables of kernel/kallsyms.c lie in an image that has no symbols. They are found by what they must hold: a table of
 * 256 tokens in which each digit stands for itself, and 256 offsets that are those of the tokens.
 */
export interface KallsymsTables {
  /** File offsets. */
  numSyms: number;
  names: number;
  markers: number;
  tokenTable: number;
  tokenIndex: number;
  /** How many entries there are. */
  count: number;
}

const TOKENS = 256;
/** Tokens before that of `0`. */
const BEFORE_DIGITS = 0x30;
const DIGITS = Buffer.from('0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00', 'latin1');
/** Entries a marker stands for. */
export const BLOCK = 256;
/** Largest distance of two markers: 256 names of 511 characters, each with its length. */
const LARGEST_BLOCK = BLOCK * 514;
/** More symbols than any kernel has. */
const MOST_SYMBOLS = 1 << 22;

/** Where the tables are, in the first of so many lists as there are tables of tokens: two, where two images lie in one file. */
export function findTables(bytes: Uint8Array): { lists: number; tables: KallsymsTables | undefined } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let lists = 0;
  let tables: KallsymsTables | undefined;
  for (let at = text.indexOf(DIGITS); at >= 0; at = text.indexOf(DIGITS, at + 1)) {
    const tokens = tokensAround(bytes, view, at);
    if (tokens === undefined) continue;
    lists++;
    tables ??= tablesBefore(bytes, view, tokens);
  }
  return { lists, tables };
}

interface Tokens {
  tokenTable: number;
  tokenIndex: number;
}

function tokensAround(bytes: Uint8Array, view: DataView, digits: number): Tokens | undefined {
  let start = digits;
  for (let nuls = 0; ; start--) {
    if (start === 0 || digits - start > TOKENS * 64) return undefined;
    if (bytes[start - 1] === 0 && nuls++ === BEFORE_DIGITS) break;
  }
  const offsets: number[] = [];
  let end = start;
  for (let token = 0; token < TOKENS; token++) {
    offsets.push(end - start);
    const stop = bytes.indexOf(0, end);
    if (stop < 0) return undefined;
    end = stop + 1;
  }
  // Aligned to 8 or 4; a second image in the file may lie anywhere.
  for (let index = end; index <= end + 7; index++)
    if (
      index + TOKENS * 2 <= bytes.length &&
      offsets.every((offset, i) => view.getUint16(index + i * 2, true) === offset)
    )
      return { tokenTable: start, tokenIndex: index };
  return undefined;
}

/** Markers end at the tokens, or (6.1 as stable has it) at the index by name, 3 bytes an entry, before them. */
function tablesBefore(bytes: Uint8Array, view: DataView, tokens: Tokens): KallsymsTables | undefined {
  const top = tokens.tokenTable & ~3;
  for (const withIndex of [false, true]) {
    const perBlock = withIndex ? 4 + BLOCK * 3 : 4;
    const farthest = Math.max(0, top - (MOST_SYMBOLS / BLOCK) * perBlock);
    for (let markers = top - 8; markers >= farthest; markers -= 4) {
      const first = view.getUint32(markers + 4, true);
      if (view.getUint32(markers, true) !== 0 || first < BLOCK * 2 || first > LARGEST_BLOCK) continue;
      const blocks = withIndex ? Math.round((top - markers) / perBlock) : 0;
      const run = ascendingRun(view, markers, top, withIndex ? blocks + 1 : Infinity);
      // The size of the index tells the number of blocks but for the last, partial one, and padding.
      const counts = withIndex ? [blocks, blocks + 1] : [run];
      for (const count of counts) {
        if (count < 2 || count > run || (!withIndex && top - markers - count * 4 > 4)) continue;
        const names = namesBefore(bytes, view, markers, count);
        if (names === undefined) continue;
        if (withIndex && Math.abs(tokens.tokenTable - markers - count * 4 - names.count * 3) > 16) continue;
        return { ...tokens, ...names, markers };
      }
    }
  }
  return undefined;
}

/** How many words from `at` on rise by what a block of names can take. */
function ascendingRun(view: DataView, at: number, end: number, most: number): number {
  let count = 1;
  for (let last = 0; count < most && at + count * 4 + 4 <= end; count++) {
    const marker = view.getUint32(at + count * 4, true);
    if (marker <= last || marker - last > LARGEST_BLOCK) break;
    last = marker;
  }
  return count;
}

/** The names end where markers begin; the number of them stands before the names. */
function namesBefore(
  bytes: Uint8Array,
  view: DataView,
  markers: number,
  blocks: number,
): Pick<KallsymsTables, 'names' | 'numSyms' | 'count'> | undefined {
  const last = view.getUint32(markers + (blocks - 1) * 4, true);
  const second = view.getUint32(markers + 4, true);
  for (let names = (markers - last - 2) & ~3; names > 8 && names >= markers - last - LARGEST_BLOCK; names -= 4) {
    for (const numSyms of [names - 8, names - 4]) {
      const count = view.getUint32(numSyms, true);
      if (Math.ceil(count / BLOCK) !== blocks || count > MOST_SYMBOLS) continue;
      if (skipNames(bytes, names, BLOCK, markers) === names + second) return { names, numSyms, count };
    }
  }
  return undefined;
}

/** Where `count` names from `at` on end; -1 where that is behind `limit`. */
function skipNames(bytes: Uint8Array, at: number, count: number, limit: number): number {
  for (let i = 0; i < count; i++) {
    if (at >= limit) return -1;
    const length = bytes[at]!;
    // Since 6.1 a name of 128 tokens and more has a second byte of length.
    at += length < 0x80 ? 1 + length : 2 + ((length & 0x7f) | (bytes[at + 1]! << 7));
  }
  return at <= limit ? at : -1;
}
