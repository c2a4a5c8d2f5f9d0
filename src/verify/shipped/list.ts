import { KlpflowError } from '../../diagnostics';
import { SHDR_WORDS, SH_ADDR, type ElfImage } from '../../elf';
import { address64, byAddress } from '../addresses';

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
export function carriedList(elf: ElfImage): ListedSymbol[] {
  const { bytes, path } = elf;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const fail = (why: string): never => {
    throw new KlpflowError('unusable-image', `${path} ${why}`, { object: path });
  };
  const tokens = findTokens(bytes, view) ?? fail('has no symbol list: it was built without CONFIG_KALLSYMS');
  const names = findNames(bytes, view, tokens) ?? fail('has a symbol list whose names are not found');
  const addresses =
    readAddresses(elf, view, tokens, names) ?? fail('has a symbol list whose addresses are laid out in no known way');
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

function readAddresses(elf: ElfImage, view: DataView, tokens: Tokens, { count, texts }: Names): number[] | undefined {
  const sections = new Map<string, number>();
  for (let section = 1; section < elf.sectionCount; section++)
    if (!sections.has(elf.name(section)))
      sections.set(elf.name(section), address64(elf.headers, section * SHDR_WORDS + SH_ADDR));
  const marks = STARTS.flatMap(([symbol, section]) => {
    const entry = texts.findIndex((text) => text.slice(1) === symbol);
    const address = sections.get(section);
    return entry < 0 || address === undefined ? [] : [{ entry, address }];
  });
  if (marks.length < 2) return undefined;
  const number = texts.length;
  const up = (at: number, to: number): number => Math.ceil(at / to) * to;
  const readings: Array<{ at: number; value: (word: number, place: number) => number | undefined }> = [];
  for (const at of [up(tokens.end, 4), up(tokens.end, 8)]) {
    const moved = loadedBy(elf, at);
    if (moved !== undefined) readings.push({ at, value: (word, place) => place + moved + word });
  }
  for (const at of [up(tokens.end, 8), Math.floor((count - 8 - number * 4) / 8) * 8]) {
    const base = at < count ? count - 8 : up(at + number * 4, 8);
    if (at < 0 || base + 8 > view.byteLength) continue;
    const from = Number(view.getBigInt64(base, true));
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

/** How far the bytes around a place of the file are from their address. */
function loadedBy(elf: ElfImage, place: number): number | undefined {
  for (let section = 1; section < elf.sectionCount; section++) {
    const within = place - elf.offset(section);
    const address = address64(elf.headers, section * SHDR_WORDS + SH_ADDR);
    if (address !== 0 && within >= 0 && within < elf.size(section)) return address - elf.offset(section);
  }
  return undefined;
}
