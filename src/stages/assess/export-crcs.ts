import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { Side } from '../side/side';
import { Kind } from '../scan';

const PREFIX = '__crc_';
/** Of the names of all symbols nearly none is read. */
const LETTER_C = 'c'.charCodeAt(0);
const FEW = 8;

/**
 * Exports whose version changed: with CONFIG_MODVERSIONS kernels before 5.19 have `__crc_NAME`, an absolute symbol, a checksum over the types that an export's callers see.
 * A livepatch leaves the old one in place, and with it the promise that modules were built against.
 */
export function tellExportVersions(orig: Side, patched: Side, object: string): Diagnostic[] {
  const after = versionsOf(patched);
  if (after.size === 0) return [];
  const changed = [...versionsOf(orig)]
    .filter(([name, crc]) => after.has(name) && after.get(name) !== crc)
    .map(([name]) => name);
  if (changed.length === 0) return [];
  const message = `the version (CRC) of ${changed.slice(0, FEW).join(', ')}${changed.length > FEW ? ` and ${changed.length - FEW} more exports` : ''} changed: types that modules share with the kernel did`;
  return [diagnostic('export-version', message, { object, symbol: changed[0]! })];
}

function versionsOf(side: Side): Map<string, number> {
  const { table, object } = side;
  const found = new Map<string, number>();
  for (let symbol = 1; symbol < table.symbols; symbol++) {
    if (
      table.kind[symbol] !== Kind.ABSOLUTE ||
      table.nameLength[symbol]! <= PREFIX.length ||
      object.bytes[object.symbolNameOffset(symbol) + 2] !== LETTER_C
    )
      continue;
    const name = side.name(symbol);
    if (name.startsWith(PREFIX)) found.set(name.slice(PREFIX.length), object.symbolValue(symbol));
  }
  return found;
}
