import type { SymbolIndex } from '../../elf';

/** One thing that a reference may mean: a canonical symbol, and the distance from it; or NAMELESS. */
export interface Reading {
  symbol: SymbolIndex;
  delta: number;
}
