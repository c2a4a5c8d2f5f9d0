import type { SymbolIndex } from '../../elf';
import type { Side } from '../side/side';

/** Names of the source file that a symbol comes from: its unit's, or, as a global has none, every unit's. */
export function fileNamesOf(side: Side, symbol: SymbolIndex): ReadonlySet<string> {
  const file = side.table.file[symbol]!;
  return file !== 0 ? new Set([side.name(file)]) : side.allUnits();
}

/**
 * Whether two strings are equal but for the number behind the unit's own file name and a colon. Fortified memcpy puts
 * `... at net/packet/af_packet.c:3738` into a literal of `packet_getname` (Linux 6.12).
 */
export function differsInLine(a: string, b: string, units: ReadonlySet<string>): boolean {
  if (a === b) return false;
  // A name begins behind a separator: tried at every letter, a long text without one takes quadratic time.
  const masked = (text: string): string =>
    text.replace(/(?<![^\s/:])([^\s/:]+):[0-9]+/g, (whole, file: string) => (units.has(file) ? `${file}:` : whole));
  return masked(a) === masked(b);
}
