import type { SymbolIndex } from '../../elf';
import type { Side } from '../side/side';

/** What the address of a variable is sure to be a multiple of, wherever its section is placed. */
export function guaranteedAlignment({ object, table }: Side, symbol: SymbolIndex): number {
  return Math.min(object.align(table.section[symbol]!) || 1, lowestBit(table.value[symbol]!));
}

/**
 * What a variable must be aligned to, as far as the object proves it: all of its section's alignment where it has the section for itself or
 * nothing else in it can be the reason; else what the gap before it takes. A multiple that its place happens to be proves nothing.
 */
export function neededAlignment({ object, table }: Side, symbol: SymbolIndex): number {
  const section = table.section[symbol]!;
  const start = table.value[symbol]!;
  const all = object.align(section) || 1;
  let before = 0;
  let reason = start % all === 0;
  for (let i = table.coverStart[section]!; i < table.coverStart[section + 1]!; i++) {
    const other = table.covers[i]!;
    const at = table.value[other]!;
    if (at === start) continue;
    if (at % all === 0) reason = false;
    if (at < start) before = Math.max(before, at + table.size[other]!);
  }
  // Without a symbol at its start, something nameless may stand before it.
  if (reason) return start === 0 || before > 0 ? all : 1;
  let needed = 1;
  while (needed < all && Math.ceil(before / needed) * needed < start) needed *= 2;
  return before > 0 && Math.ceil(before / needed) * needed === start ? needed : 1;
}

function lowestBit(value: number): number {
  return value === 0 ? Infinity : 2 ** Math.log2(value & -value);
}
