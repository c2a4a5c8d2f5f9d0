import type { ImageExport } from '../exports';
import type { ShippedModule } from './shipped-module';

/** struct kernel_symbol: value, name, namespace, each a distance from itself. */
const ENTRY = 12;
/** KSYM_NAME_LEN. */
const LONGEST = 512;

/** What a finished module exports, with versions: of its own tables, as the module loader reads them. What leads out of the file is left out. */
export function moduleExports(module: ShippedModule): ImageExport[] {
  const flags = module.content('__kflagstab')?.bytes;
  const found: ImageExport[] = [];
  for (const suffix of ['', '_gpl']) {
    const table = module.content(`__ksymtab${suffix}`);
    if (table === undefined) continue;
    const crcs = viewOf(module.content(`__kcrctab${suffix}`)?.bytes);
    const view = viewOf(table.bytes);
    for (let i = 0, at = 0; at + ENTRY <= view.byteLength; i++, at += ENTRY) {
      const [name, namespace] = [4, 8].map((field) =>
        textAt(module, table.address + at + field + view.getInt32(at + field, true)),
      );
      if (name === undefined || name === '' || namespace === undefined) continue;
      const crc = i * 4 + 4 <= crcs.byteLength ? crcs.getUint32(i * 4, true) : 0;
      found.push({ name, crc, gpl: suffix !== '' || ((flags?.[i] ?? 0) & 1) !== 0, namespace });
    }
  }
  return found;
}

function viewOf(bytes: Uint8Array = new Uint8Array(0)): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function textAt(module: ShippedModule, address: number): string | undefined {
  const bytes = module.bytesFrom(address)?.subarray(0, LONGEST);
  const end = bytes?.indexOf(0) ?? -1;
  return end < 0 ? undefined : Buffer.from(bytes!.subarray(0, end)).toString('latin1');
}
