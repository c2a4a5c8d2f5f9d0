import type { ImageMemory } from '../memory';
import { entriesNamed, isNamed, type ListedNames } from './names';
import type { KallsymsTables } from './tables';

/** What one entry's word means, by kernel: see scripts/kallsyms.c. */
type Encoding = (word: number, index: number) => number;

const align = (at: number, to: number): number => Math.ceil(at / to) * to;

/**
 * The address of each entry. Words stand before the names (to 6.5) or behind the tokens, and mean one of three things; which, is
 * told by the ends of the kernel: `_text` is where memory begins, and addresses never fall. Ascending alone would not do: a reading
 * that is off by one entry ascends, too (6.12's first words are 0, 0, 0x1000).
 */
export function decodeAddresses(
  memory: ImageMemory,
  tables: KallsymsTables,
  names: ListedNames,
): Float64Array | undefined {
  const { view, bytes } = memory;
  const { count, tokenIndex, numSyms } = tables;
  const marks = marksOf(names);
  if (marks.length === 0) return undefined;
  // arm64 to 6.5 does not list `_text`, and 64 KiB of header lie before `_stext`.
  const header = memory.elf === null && !isNamed(names, marks[0]!, '_text') ? HEADER : 0;
  const begins = memory.base + header;
  const behind = tokenIndex + 512;
  const places: Array<{ offsets: number; base: number | undefined }> = [];
  // A distance from itself means the same wherever the list is thought to begin: where it is aligned to 4 only (7.3) it must not be
  // taken to begin a word later. Where it is aligned to 8, the padding before it does not ascend.
  for (const alignment of [4, 8]) places.push({ offsets: align(behind, alignment), base: undefined });
  for (const alignment of [8, 4]) {
    const offsets = align(behind, alignment);
    places.push({ offsets, base: align(offsets + count * 4, 8) });
  }
  // Both are aligned to 8: a guess at the padding would be off by one entry for half of all kernels.
  places.push({ offsets: (numSyms - 8 - count * 4) & ~7, base: numSyms - 8 });
  for (const { offsets, base } of places) {
    if (
      offsets < 0 ||
      offsets + count * 4 > bytes.length ||
      (base !== undefined && (base < 0 || base + 8 > bytes.length))
    )
      continue;
    for (const encoding of encodings(memory, offsets, base, begins)) {
      const starts = marks.map((mark) => encoding(view.getInt32(offsets + mark * 4, true), mark));
      if (!starts.every((start) => start === begins)) continue;
      const addresses = new Float64Array(count);
      for (let i = 0; i < count; i++) addresses[i] = encoding(view.getInt32(offsets + i * 4, true), i);
      if (ascends(addresses) && addresses[count - 1]! > memory.base) return addresses;
    }
  }
  return undefined;
}

function* encodings(
  memory: ImageMemory,
  offsets: number,
  base: number | undefined,
  first: number,
): Generator<Encoding> {
  if (base === undefined) {
    // 7.x: each word is a distance from itself.
    const here = memory.addressOf(offsets);
    if (here !== undefined) yield (word, index) => here + index * 4 + word;
    return;
  }
  // Of a raw image the word is filled in by a relocation: it is that of the first symbol.
  const stated = Number(memory.view.getBigInt64(base, true));
  const relative = stated === 0 && memory.elf === null ? first : stated;
  yield (word) => (word >= 0 ? word : relative - 1 - word);
  yield (word) => relative + (word >>> 0);
}

/** SEGMENT_ALIGN of arm64. */
const HEADER = 0x10000;

/** Entries called `_text`, else `_stext`: where memory begins. */
function marksOf(names: ListedNames): number[] {
  const found = entriesNamed(names, '_text');
  return found.length > 0 ? found : entriesNamed(names, '_stext');
}

/** The order of unsigned addresses, told of signed ones: per-CPU and absolute symbols are small and come first. */
export function byAddress(a: number, b: number): number {
  return a < 0 === b < 0 ? a - b : b - a;
}

function ascends(addresses: Float64Array): boolean {
  for (let i = 1; i < addresses.length; i++) if (byAddress(addresses[i - 1]!, addresses[i]!) > 0) return false;
  return true;
}
