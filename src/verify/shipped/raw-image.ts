import { LinkedBytes } from './linked-bytes';
import type { ListedSymbol } from './list';

/** Elf64_Rela. */
const RELA = 24;
const R_AARCH64_RELATIVE = 0x403;

/** What lies in front of KIMAGE_VADDR, regions for modules and BPF, is a multiple of this, and an image is smaller. */
const BASE_UNIT = 2 ** 27;

/**
 * A raw image and its list at the address at which it was linked: what lies in front of it changed three times since 5.4, and the places that ftrace
 * knows are absolute.
 */
export function placedAsLinked(
  memory: LinkedBytes,
  list: readonly ListedSymbol[],
): { memory: LinkedBytes; list: readonly ListedSymbol[] } {
  if (memory.rawBase === null) return { memory, list };
  const marks = (name: string): number | undefined => list.find((symbol) => symbol.name === name)?.address;
  const [start, relocations] = [marks('__start_mcount_loc'), relocationsOf(memory, list)];
  const word = start === undefined ? undefined : memory.at(start, 8);
  const inPlace = word === undefined ? 0 : Number(new DataView(word.buffer, word.byteOffset).getBigInt64(0, true));
  const pointer = inPlace === 0 ? (relocations.next().value?.value ?? 0) : inPlace;
  const moved = Math.floor(pointer / BASE_UNIT) * BASE_UNIT - memory.rawBase;
  if (pointer >= 0 || moved === 0) return { memory, list };
  return {
    memory: LinkedBytes.ofRaw(memory.bytes, memory.path, memory.rawBase + moved),
    list: list.map((symbol) => ({ ...symbol, address: symbol.address + moved })),
  };
}

/**
 * Words of [start, stop) that boot code fills in by the image's own relocations: arm64's kernels before 7.x have zeros in their place, and the value as addend.
 * Null where there are none.
 */
export function relocatedWords(
  memory: LinkedBytes,
  list: readonly ListedSymbol[],
  start: number,
  stop: number,
): Float64Array | null {
  const found: number[] = [];
  for (const { place, value } of relocationsOf(memory, list)) if (place >= start && place < stop) found.push(value);
  return found.length === 0 ? null : Float64Array.from(found);
}

function* relocationsOf(
  memory: LinkedBytes,
  list: readonly ListedSymbol[],
): Generator<{ place: number; value: number }, undefined> {
  // 6.x puts what runs before the mapping is made under `__pi_`.
  const [from, to] = ['rela_start', 'rela_end'].map(
    (name) => list.find((symbol) => symbol.name === `__pi_${name}` || symbol.name === `__${name}`)?.address,
  );
  const table = from === undefined || to === undefined ? undefined : memory.at(from, to - from);
  if (table === undefined) return;
  const view = new DataView(table.buffer, table.byteOffset, table.length);
  for (let at = 0; at + RELA <= table.length; at += RELA)
    if (view.getUint32(at + 8, true) === R_AARCH64_RELATIVE)
      yield { place: Number(view.getBigInt64(at, true)), value: Number(view.getBigInt64(at + 16, true)) };
}
