import type { SymbolIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Side } from '../side/side';
import { Prefixes } from '../side/prefixes';
import { Trait } from '../scan';
import type { Copy } from './clones';
import type { Use } from './link';

/**
 * Whether a reference of a copy takes the address of a function, as whoever calls it later does: ORIG's has to be taken then, which leads to
 * the new code while the livepatch is there. A copy's address is not equal to the one that the rest of the kernel has (`ops->fn == f`), and
 * dangles once the livepatch is gone. Not so for direct branches, labels within the function, and tables about code.
 */
export function takesAddress(patched: Side, symbol: SymbolIndex, use: Use, from: Copy, at: number): boolean {
  const { table, arch } = patched;
  if (!table.has(symbol, Trait.FUNC)) return false;
  const bits = table.sectionClass[from.range.section]!;
  if (
    (bits & (SectionClass.SPECIAL | SectionClass.DERIVED)) !== 0 ||
    !arch.isFunctionPointer(use.type, (bits & SectionClass.TOC) !== 0)
  )
    return false;
  const inCode = (bits & SectionClass.EXEC) !== 0;
  // As it stands in the copy: a branch through the GOT has become a direct one.
  if (inCode && arch.isBranch(from.section.bytes, from.start, from.start + at, use.type)) return false;
  if (!arch.isPcRelative(use.type)) return use.addend === 0;
  return use.addend + (inCode ? arch.bias(use.type) : arch.dataBias(use.type)) === 0;
}

/**
 * Whether ORIG's function may be called indirectly as PATCHED's may. One whose address nothing took has no `endbr64`, or boot code removed it:
 * such a call would fault, and as nobody in the running kernel has its address, the copy's does. The same with kCFI for one without a type, or of another.
 */
export function isIndirectTarget(orig: Side, origin: SymbolIndex, patched: Side, symbol: SymbolIndex): boolean {
  const begins = (side: Side, body: number): boolean => side.arch.isLandingPad(side.bytes(body));
  const [ours, theirs] = [Prefixes.of(orig).typeHash(origin), Prefixes.of(patched).typeHash(symbol)];
  if (theirs !== undefined && ours !== theirs) return false;
  return begins(orig, origin) ? !orig.table.has(origin, Trait.SEALED) : !begins(patched, symbol);
}
