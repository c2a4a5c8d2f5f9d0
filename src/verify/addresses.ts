import { ELF_MAGIC } from '../elf';

/** A 64-bit address in two words as a signed number: kernel addresses are small negative ones, which a number holds exactly. */
export function address64(words: Uint32Array, at: number): number {
  return (words[at + 1]! | 0) * 0x100000000 + words[at]!;
}

/** Ascending order of addresses as the kernel sees them, unsigned. */
export function byAddress(a: number, b: number): number {
  return a < 0 === b < 0 ? a - b : a < 0 ? 1 : -1;
}

export function isElf(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 4 && ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0 === ELF_MAGIC
  );
}
