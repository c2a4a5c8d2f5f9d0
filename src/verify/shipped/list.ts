import { KlpflowError } from '../../diagnostics';
import { byAddress } from '../addresses';
import type { LinkedBytes } from './linked-bytes';

/** One symbol of the kernel's own list. */
export interface ListedSymbol {
  name: string;
  /** As nm shows it. */
  letter: string;
  address: number;
}

/** Fewest and most symbols that a kernel's list has. */
const FEWEST = 500;
const MOST = 4_000_000;
/** No name has more tokens. */
const LONGEST = 512;

/**
 * The symbol list that a linked kernel carries for itself (kernel/kallsyms.c), read forwards: from a number of names, through as many
 * names, to the first of their markers, which is 0 and stands where they end.
 * @throws KlpflowError `unusable-image`
 */
export function carriedList(memory: LinkedBytes): ListedSymbol[] {
  const { bytes, view, path } = memory;
  const fail = (why: string): never => {
    throw new KlpflowError('unusable-image', `${path} ${why}`, { object: path });
  };
  const tokens = findTokens(bytes, view) ?? fail('has no symbol list: it was built without CONFIG_KALLSYMS');
  const names = findNames(bytes, view, tokens) ?? fail('has a symbol list whose names are not found');
  const addresses =
    readAddresses(memory, tokens, names) ?? fail('has a symbol list whose addresses are laid out in no known way');
  return names.texts.map((text, i) => ({ name: text.slice(1), letter: text[0]!, address: addresses[i]! }));
}

interface Tokens {
  /** Where the table starts, and where the offsets into it end. */
  start: number;
  end: number;
  texts: string[];
}

/** 256 strings and then 256 offsets that are theirs. The one for `0` comes right before those of the other digits. */
function findTokens(bytes: Uint8Array, view: DataView): Tokens | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const digits = Buffer.from('0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00', 'latin1');
  for (let hit = text.indexOf(digits); hit > 0; hit = text.indexOf(digits, hit + 1)) {
    // The offset of `0` is the 49th: whatever table of offsets lies near must say how far back the first string is.
    for (let index = (hit + 256) & ~1; index + 512 <= Math.min(bytes.length, hit + 4096); index += 2) {
      if (view.getUint16(index, true) !== 0) continue;
      const start = hit - view.getUint16(index + 0x30 * 2, true);
      if (start < 0 || start >= hit) continue;
      const texts: string[] = [];
      for (let token = 0, at = start; token < 256; token++) {
        if (at - start !== view.getUint16(index + token * 2, true)) break;
        const stop = text.indexOf(0, at);
        texts.push(text.toString('latin1', at, stop));
        at = stop + 1;
      }
      if (texts.length === 256) return { start, end: index + 512, texts };
    }
  }
  return undefined;
}

interface Names {
  /** Where the number of them stands. */
  count: number;
  /** Type and name. */
  texts: string[];
}

function findNames(bytes: Uint8Array, view: DataView, { start, texts }: Tokens): Names | undefined {
  for (let count = (start - 4) & ~3; count > 0; count -= 4) {
    const number = view.getUint32(count, true);
    if (number < FEWEST || number > MOST) continue;
    for (const first of [count + 4, count + 8]) {
      const ends = walk(bytes, first, number, start);
      if (ends === undefined) continue;
      const [second, end] = ends;
      // The markers begin within 8 bytes behind the names.
      const marker = [(end + 3) & ~3, (end + 7) & ~7].find(
        (at) => view.getUint32(at, true) === 0 && view.getUint32(at + 4, true) === second - first,
      );
      if (marker !== undefined) return { count, texts: expand(bytes, first, number, texts) };
    }
  }
  return undefined;
}

/** Where the 257th name stands, and where the last ends; undefined where a length is none. */
function walk(
  bytes: Uint8Array,
  first: number,
  number: number,
  limit: number,
): [second: number, end: number] | undefined {
  let at = first;
  let second = 0;
  for (let i = 0; i < number; i++) {
    if (i === 256) second = at;
    const [length, from] = lengthAt(bytes, at);
    if (length === 0 || length > LONGEST) return undefined;
    at = from + length;
    if (at > limit) return undefined;
  }
  return [second, at];
}

/** One byte, or from 128 tokens on two, of which each brings seven bits. */
function lengthAt(bytes: Uint8Array, at: number): [length: number, from: number] {
  const low = bytes[at]!;
  return low < 0x80 ? [low, at + 1] : [(low & 0x7f) + bytes[at + 1]! * 0x80, at + 2];
}

function expand(bytes: Uint8Array, first: number, number: number, tokens: readonly string[]): string[] {
  const texts: string[] = [];
  for (let at = first; texts.length < number; ) {
    const [length, from] = lengthAt(bytes, at);
    let text = '';
    for (let i = from; i < from + length; i++) text += tokens[bytes[i]!]!;
    texts.push(text);
    at = from + length;
  }
  return texts;
}

/** Marks that the linker script puts at the start of sections: what an address must be. */
const STARTS: ReadonlyArray<readonly [symbol: string, section: string]> = [
  ['_text', '.text'],
  ['_stext', '.text'],
  ['__start_rodata', '.rodata'],
  ['__start___ksymtab', '__ksymtab'],
];

/** Entries whose address is known otherwise: by the section that they begin, or as the ends of a raw image. */
function marksOf(memory: LinkedBytes, texts: readonly string[]): Array<{ entry: number; address: number }> {
  const { rawBase, view } = memory;
  const known: Array<[symbol: string, address: number | undefined]> =
    rawBase === null
      ? STARTS.map(([symbol, section]) => [symbol, memory.section(section)?.address])
      : [
          ['_text', rawBase],
          ['_end', rawBase + Number(view.getBigUint64(IMAGE_SIZE, true))],
        ];
  return known.flatMap(([symbol, address]) => {
    const entry = texts.findIndex((text) => text.slice(1) === symbol);
    return entry < 0 || address === undefined ? [] : [{ entry, address }];
  });
}

/** Of arm64's header: how much memory the kernel takes, from `_text` to `_end`. */
const IMAGE_SIZE = 16;

function readAddresses(memory: LinkedBytes, tokens: Tokens, { count, texts }: Names): number[] | undefined {
  const { view, rawBase } = memory;
  const marks = marksOf(memory, texts);
  if (marks.length < 2) return undefined;
  const number = texts.length;
  const up = (at: number, to: number): number => Math.ceil(at / to) * to;
  const readings: Array<{ at: number; value: (word: number, place: number) => number | undefined }> = [];
  for (const at of [up(tokens.end, 4), up(tokens.end, 8)]) {
    const moved = memory.movedBy(at);
    if (moved !== undefined) readings.push({ at, value: (word, place) => place + moved + word });
  }
  for (const at of [up(tokens.end, 8), Math.floor((count - 8 - number * 4) / 8) * 8]) {
    const base = at < count ? count - 8 : up(at + number * 4, 8);
    if (at < 0 || base + 8 > view.byteLength) continue;
    // A raw image has zeros there: the word is that of `_text`, which a relocation fills in.
    const from = rawBase ?? Number(view.getBigInt64(base, true));
    readings.push({ at, value: (word) => (word < 0 ? from - 1 - word : word) });
    readings.push({ at, value: (word) => from + (word >>> 0) });
  }
  for (const { at, value } of readings) {
    if (at + number * 4 > view.byteLength) continue;
    const read = (entry: number): number | undefined => value(view.getInt32(at + entry * 4, true), at + entry * 4);
    if (!marks.every(({ entry, address }) => read(entry) === address)) continue;
    const addresses = texts.map((_, entry) => read(entry)!);
    if (addresses.every((address, i) => i === 0 || byAddress(addresses[i - 1]!, address) <= 0)) return addresses;
  }
  return undefined;
}
