import type { Offset, SectionIndex, SymbolIndex } from '../../elf';
import type { Decoded } from '../side/decoded';

/** What `target`, counted from the start of the code, is: a symbol and the distance from it, or a place that none covers. */
export function reached(
  { side, range: { section, start } }: Decoded,
  target: number,
): { symbol: SymbolIndex; delta: number; place: { section: SectionIndex; offset: Offset }; outside: boolean } {
  const offset = start + target;
  const symbol = side.identity.coverAt(section, offset);
  return {
    symbol,
    delta: symbol === 0 ? 0 : offset - side.table.value[symbol]!,
    place: { section, offset },
    outside: offset < 0 || offset >= side.object.size(section),
  };
}
