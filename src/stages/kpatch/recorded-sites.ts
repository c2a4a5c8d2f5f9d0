import { RELA_WORDS, R_OFFSET, R_SYM, R_TYPE, u64, type SymbolIndex } from '../../elf';
import type { KpatchObject } from '../../livepatch/kpatch/object';
import type { Side } from '../side/side';
import type { Clones } from '../extract/clones';
import type { CopyInput } from '../extract/types';
import { Trait } from '../scan';
import { FtraceSites } from '../assess/ftrace-sites';

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
  const { erasedCall, none } = patched.arch;
  if (erasedCall === null) return;
  const { nop, code, field, type, addend } = erasedCall;
  const { section, end } = patched.rangeOf(symbol);
  if (site + code.length > end) return;
  const { words, at, stop } = patched.identity.relas.select(section, site + field, site + field + 1);
  for (let i = at; i < stop; i += RELA_WORDS) {
    if (u64(words, i + R_OFFSET) !== site + field || words[i + R_TYPE] !== none) continue;
    const place = clones.locate(section, site);
    if (place?.section.bytes[place.offset] !== nop) return;
    place.section.bytes.set(code, place.offset);
    const called = words[i + R_SYM]!;
    if (called >= patched.table.symbols) return;
    place.section.relas.push({
      offset: place.offset + field,
      type,
      symbol: clones.output.reference(patched.name(called), patched.table.info[called]!),
      addend,
    });
    return;
  }
}
