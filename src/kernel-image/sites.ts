import { append } from '../lists';
import type { ImageMemory } from './memory';

/** Where names stand that are there once. */
export interface Addresses {
  addressOf(name: string): number | undefined;
}

/**
 * Addresses of code that ftrace can redirect, ascending; undefined where the image does not hold them. Sorttable leaves zeros for
 * weak functions that were dropped. An arm64 image with RELA relocations has zeros only: the addresses are their addends.
 */
export function ftraceSites(memory: ImageMemory, list: Addresses): Float64Array | undefined {
  const start = list.addressOf('__start_mcount_loc');
  const stop = list.addressOf('__stop_mcount_loc');
  if (start === undefined || stop === undefined || stop <= start || (stop - start) % 8 !== 0) return undefined;
  const at = memory.locate(start, stop - start);
  if (at < 0) return undefined;
  const sites: number[] = [];
  for (let i = at; i < at + stop - start; i += 8) {
    const site = Number(memory.view.getBigInt64(i, true));
    if (site !== 0) sites.push(site);
  }
  if (sites.length === 0) append(sites, relocatedSites(memory, start, stop));
  if (sites.length === 0) return undefined;
  return Float64Array.from(sites).sort();
}

/** R_AARCH64_RELATIVE. */
const RELATIVE = 0x403n;

/** Addends of the relocations of [start, stop): 24-byte records whose first word is an address there. They stand in one stretch. */
function relocatedSites(memory: ImageMemory, start: number, stop: number): number[] {
  const { view, bytes } = memory;
  const sites: number[] = [];
  for (let at = 0; at + 24 <= bytes.length; at += 8) {
    // The high word first: of nearly all words of an image it says enough.
    if (view.getUint32(at + 4, true) >>> 16 !== 0xffff) continue;
    const place = Number(view.getBigInt64(at, true));
    if (place < start || place >= stop || view.getBigUint64(at + 8, true) !== RELATIVE) continue;
    const site = Number(view.getBigInt64(at + 16, true));
    if (site !== 0) sites.push(site);
    at += 16;
  }
  return sites;
}

/** Addresses of functions whose ENDBR boot overwrites where IBT is on; empty without CONFIG_X86_KERNEL_IBT. */
export function sealedFunctions(memory: ImageMemory): Set<number> {
  const sealed = new Set<number>();
  const section = memory.section('.ibt_endbr_seal');
  if (section === undefined) return sealed;
  const view = new DataView(section.bytes.buffer, section.bytes.byteOffset, section.bytes.length);
  // Each entry is a distance from itself.
  for (let at = 0; at + 4 <= section.size; at += 4) sealed.add(section.address + at + view.getInt32(at, true));
  return sealed;
}
