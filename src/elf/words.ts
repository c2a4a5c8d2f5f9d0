/**
 * ELF tables as 32-bit words.
 *
 * Section headers (64 bytes), symbols (24) and relas (24) are fixed records of naturally aligned fields, so on a
 * little-endian host a table of a little-endian file *is* a Uint32Array over the mapping: nothing is copied and a
 * field costs one indexed load. A big-endian file (s390x), or a table at an offset that is no multiple of 4, is
 * copied once with its fields swapped, and everything behind reads the same words.
 */

import type { Offset, WordIndex } from './indices';

/** Field widths in bytes of one record, in file order. 64-bit fields become two words, low one first. */
export const SHDR_FIELDS = [4, 4, 8, 8, 8, 8, 4, 4, 8, 8] as const;
export const SYM_FIELDS = [4, 1, 1, 2, 8, 8] as const;
export const RELA_FIELDS = [8, 8, 8] as const;
export const WORD_FIELDS = [4] as const;

/** Words of one section header, one symbol, one rela. */
export const SHDR_WORDS = 16;
export const SYM_WORDS = 6;
export const RELA_WORDS = 6;

// Word numbers within a section header.
export const SH_NAME = 0;
export const SH_TYPE = 1;
export const SH_FLAGS = 2;
export const SH_ADDR = 4;
export const SH_OFFSET = 6;
export const SH_SIZE = 8;
export const SH_LINK = 10;
export const SH_INFO = 11;
export const SH_ALIGN = 12;
export const SH_ENTSIZE = 14;

// Word numbers within a symbol; word 1 is st_info | st_other << 8 | st_shndx << 16.
export const ST_NAME = 0;
export const ST_INFO = 1;
export const ST_VALUE = 2;
export const ST_SIZE = 4;

// Word numbers within a rela; r_info's halves are type (low) and symbol (high).
export const R_OFFSET = 0;
export const R_TYPE = 2;
export const R_SYM = 3;
export const R_ADDEND = 4;

export const HOST_LITTLE = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/**
 * The table at [offset, offset + length) of `bytes` as words.
 * The caller has checked that the range lies within the file and that length is a multiple of the record size.
 */
export function tableWords(
  bytes: Uint8Array,
  little: boolean,
  offset: Offset,
  length: number,
  fields: readonly number[],
): Uint32Array {
  const at = bytes.byteOffset + offset;
  if (little === HOST_LITTLE && at % 4 === 0) return new Uint32Array(bytes.buffer, at, length >>> 2);
  const copy = bytes.slice(offset, offset + length);
  if (little !== HOST_LITTLE) swapFields(copy, fields);
  return new Uint32Array(copy.buffer, copy.byteOffset, length >>> 2);
}

function swapFields(copy: Uint8Array, fields: readonly number[]): void {
  for (let at = 0; at < copy.length; ) {
    for (const width of fields) {
      for (let low = at, high = at + width - 1; low < high; low++, high--) {
        const byte = copy[low]!;
        copy[low] = copy[high]!;
        copy[high] = byte;
      }
      at += width;
    }
  }
}

/** An unsigned 64-bit field as a number; above 2^53 the low bits are lost, which no file offset or size reaches. */
export function u64(words: Uint32Array, at: WordIndex): number {
  return words[at + 1]! * 0x100000000 + words[at]!;
}

/** A signed 64-bit field (an addend) as a number. */
export function s64(words: Uint32Array, at: WordIndex): number {
  return (words[at + 1]! | 0) * 0x100000000 + words[at]!;
}
