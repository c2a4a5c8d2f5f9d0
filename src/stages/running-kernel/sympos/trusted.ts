import { SHN_UNDEF, type SymbolIndex } from '../../../elf';
import type { Side } from '../../side/side';
import { OrigNames } from './orig-names';
import type { NoPosition, Position } from './position';

/** Positions where the running kernel was not seen and nothing is written: every symbol that a kernel can list counts as found, without the cost of looking. */
export class TrustedPositions {
  private readonly names: OrigNames;

  constructor(private readonly orig: Side) {
    this.names = new OrigNames(orig, 'none');
  }

  positionOf(symbol: SymbolIndex): Position | NoPosition {
    const name = this.orig.name(symbol);
    if (this.orig.table.section[symbol] !== SHN_UNDEF && !this.names.has(symbol))
      return { code: 'not-in-kernel', refused: `${name} is of a kind that no kernel lists` };
    return { sympos: 0, name, evidence: '', entry: null };
  }
}
