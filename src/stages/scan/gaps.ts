import { joined } from '../../lists';
import type { Identity } from './identity';

/** Words of one gap: section, start, end, the symbols before and behind, and four of a digest of all that it is, from GAP_DIGEST on. */
export const GAP_WORDS = 9;
export const GAP_DIGEST = 5;

/** Bytes of one label: its place and its name. */
const LABEL_BYTES = 16;

/**
 * Bytes of loaded sections that no sized symbol covers and that do more than fill up, in the order of the sections, GAP_WORDS each; see
 * wasm/uncovered.ts. Debian's 6.12 has 663.
 */
export function findGaps({ code, entries, table }: Identity): Uint32Array {
  const labels = code.countLabels();
  if (labels > 0) {
    const at = table.grow(labels * LABEL_BYTES);
    code.listLabels(at);
    new BigUint64Array(table.memory.buffer, at, labels).sort();
    code.nameLabels();
  }
  const parts: Uint32Array[] = [];
  code.openGaps();
  for (let count = code.nextGaps(); count > 0; count = code.nextGaps())
    parts.push(Uint32Array.from(entries.subarray(0, count * GAP_WORDS)));
  return joined(parts);
}

/** Whether words that were recorded can be gaps of a table. */
export function areGaps(words: Uint32Array, { sections, symbols }: { sections: number; symbols: number }): boolean {
  if (words.length % GAP_WORDS !== 0) return false;
  for (let at = 0; at < words.length; at += GAP_WORDS) {
    const [section, start, end, before, behind] = words.subarray(at, at + GAP_DIGEST) as unknown as number[];
    if (section! >= sections || start! >= end! || before! >= symbols || behind! >= symbols) return false;
  }
  return true;
}
