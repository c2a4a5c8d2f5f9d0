import {
  EM_X86_64,
  RELA_WORDS,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  R_X86_64_NONE,
  R_X86_64_PC32,
  u64,
  type SymbolIndex,
} from '../../elf';
import type { KpatchObject } from '../../livepatch/kpatch/object';
import type { Side } from '../side/side';
import type { Clones } from '../extract/clones';
import type { CopyInput } from '../extract/types';
import { Trait } from '../scan';
import { FtraceSites } from '../assess/ftrace-sites';

const CALL = [0xe8, 0, 0, 0, 0];
const NOP = 0x0f;

/** Where ftrace takes hold of the included functions. */
export function recordSites(
  { patched, included }: CopyInput,
  clones: Clones,
): Pick<KpatchObject, 'sites' | 'patchable'> {
  const found = FtraceSites.of(patched);
  const sites: Array<KpatchObject['sites'][number]> = [];
  for (const { symbol } of included) {
    const site = patched.table.has(symbol, Trait.COLD) ? undefined : found.siteOf(symbol);
    const clone = clones.of(symbol);
    if (site === undefined || clone === undefined) continue;
    const offset = site.offset - patched.table.value[symbol]!;
    sites.push({ symbol: clone, offset });
    if (site.made) restoreCall(patched, symbol, site.offset, clones);
  }
  return { sites, patchable: found.patchable };
}

/**
 * Recordmcount of old x86 kernels made NOPs of calls that it did not list, and left their relocations with type NONE. The kernel
 * expects the call in a module, and makes a NOP of it itself.
 */
function restoreCall(patched: Side, symbol: SymbolIndex, site: number, clones: Clones): void {
  if (patched.object.machine !== EM_X86_64) return;
  const { section, end } = patched.rangeOf(symbol);
  if (site + CALL.length > end) return;
  const { words, at, stop } = patched.identity.relas.select(section, site + 1, site + 2);
  for (let i = at; i < stop; i += RELA_WORDS) {
    if (u64(words, i + R_OFFSET) !== site + 1 || words[i + R_TYPE] !== R_X86_64_NONE) continue;
    const place = clones.locate(section, site);
    if (place?.section.bytes[place.offset] !== NOP) return;
    place.section.bytes.set(CALL, place.offset);
    const called = words[i + R_SYM]!;
    if (called >= patched.table.symbols) return;
    place.section.relas.push({
      offset: place.offset + 1,
      type: R_X86_64_PC32,
      symbol: clones.output.reference(patched.name(called), patched.table.info[called]!),
      addend: -4,
    });
    return;
  }
}
