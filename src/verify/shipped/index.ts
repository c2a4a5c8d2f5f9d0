/**
 * The image that boots, as the verifier reads it: by itself, and in another way than what made the module. A mistake in one reader of
 * images is then a contradiction here, not a livepatch.
 */
import { KlpflowError } from '../../diagnostics';
import type { ExportedSymbol } from '../exports';
import { carriedList, type ListedSymbol } from './list';
import type { LinkedBytes } from './linked-bytes';
import { linkedWithin } from './payload';
import { placedAsLinked } from './raw-image';

export type { ListedSymbol } from './list';

/** What a shipped kernel says. */
export interface ShippedKernel {
  path: string;
  memory: LinkedBytes;
  list: readonly ListedSymbol[];
  exports: ReadonlyMap<string, ExportedSymbol>;
  /** Raw BTF. */
  types: Uint8Array | null;
  vermagic: string | null;
}

/**
 * Reads a kernel image; undefined where the file is a list of symbols or has a symbol table of its own.
 * @throws KlpflowError `malformed-image`, `unusable-image`, `malformed-elf`, `unreadable`
 */
export async function readShipped(path: string): Promise<ShippedKernel | undefined> {
  const found = await linkedWithin(path);
  if (found === undefined) return undefined;
  const { memory, list } = placedAsLinked(found, carriedList(found));
  const marks = new Map(list.map(({ name, address }) => [name, address]));
  // A raw image does not say how long its file is.
  const end = marks.get('_edata');
  if (memory.rawBase !== null && end !== undefined && end - memory.rawBase > memory.bytes.length)
    throw new KlpflowError('malformed-image', `${path}: the kernel ends behind the end of the file: it is cut short`, {
      object: path,
    });
  const table = (section: string, start = `__start_${section}`, stop = `__stop_${section}`): Table | undefined =>
    memory.section(section) ?? between(memory, marks.get(start), marks.get(stop));
  const magic = marks.get('vermagic');
  return {
    path,
    memory,
    list,
    exports: new Map([
      ...exportsOf(memory, table('__ksymtab'), table('__kcrctab'), table('__kflagstab')),
      ...exportsOf(memory, table('__ksymtab_gpl'), table('__kcrctab_gpl'), 'gpl'),
    ]),
    types: table('.BTF', '__start_BTF', '__stop_BTF')?.bytes ?? null,
    vermagic: magic === undefined ? null : memory.text(magic),
  };
}

interface Table {
  address: number;
  bytes: Uint8Array;
}

/** What two symbols enclose: an image without sections has no other names for its tables. */
function between(memory: LinkedBytes, start: number | undefined, stop: number | undefined): Table | undefined {
  if (start === undefined || stop === undefined || stop <= start) return undefined;
  const bytes = memory.at(start, stop - start);
  return bytes && { address: start, bytes };
}

/** An entry is three distances (value, name, namespace); of 7.x with a byte of flags elsewhere, before in a table of its own where it is for GPL modules. */
function* exportsOf(
  memory: LinkedBytes,
  entries: Table | undefined,
  crcs: Table | undefined,
  flags: Table | undefined | 'gpl',
): Generator<[name: string, found: ExportedSymbol]> {
  if (entries === undefined) return;
  const view = viewOf(entries.bytes);
  for (let i = 0; (i + 1) * 12 <= entries.bytes.length; i++) {
    const string = (field: number): string => memory.text(entries.address + field + view.getInt32(field, true));
    const crc = crcs !== undefined && (i + 1) * 4 <= crcs.bytes.length ? viewOf(crcs.bytes).getUint32(i * 4, true) : 0;
    const gpl = flags === 'gpl' || ((flags?.bytes[i] ?? 0) & 1) !== 0;
    yield [string(i * 12 + 4), { crc, gpl, namespace: string(i * 12 + 8) }];
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
