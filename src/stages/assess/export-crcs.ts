import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { Side } from '../side/side';
import { Kind } from '../scan';

const PREFIX = '__crc_';
const FEW = 8;

/**
 * Exports whose version changed: with CONFIG_MODVERSIONS kernels before 5.19 have `__crc_NAME`, an absolute symbol, a checksum over the types that an export's callers see.
 * A livepatch leaves the old one in place, and with it the promise that modules were built against.
 */
export function reportExportVersions(orig: Side, patched: Side, object: string): Diagnostic[] {
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
  const { kind } = table;
  for (let symbol = kind.indexOf(Kind.ABSOLUTE); symbol >= 0; symbol = kind.indexOf(Kind.ABSOLUTE, symbol + 1)) {
    const name = side.name(symbol);
    if (name.startsWith(PREFIX)) found.set(name.slice(PREFIX.length), object.symbolValue(symbol));
  }
  return found;
}
