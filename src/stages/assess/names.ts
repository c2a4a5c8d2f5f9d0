import type { SymbolIndex } from '../../elf';
import type { Side } from '../side/side';
import { Trait } from '../scan';
import type { PlainSymbol, UnitName } from './types';

/** The unit of a local symbol; globals have none. */
export function unitNameOf(side: Side, symbol: SymbolIndex): UnitName {
  const file = side.table.file[symbol]!;
  return file === 0 ? null : side.name(file);
}

export function plain(side: Side, symbol: SymbolIndex): PlainSymbol {
  return { name: side.name(symbol), file: unitNameOf(side, symbol), section: side.sectionName(symbol) };
}

/** Traits of code and data that the running object no longer has: a module's exit code is still there. */
export function discardedTraits(objectName: string): number {
  return objectName === 'vmlinux' ? Trait.INIT | Trait.EXIT : Trait.INIT;
}
