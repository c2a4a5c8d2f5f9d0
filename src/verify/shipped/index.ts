/**
 * The image that boots, as the verifier reads it: by itself, and in another way than what made the module. A mistake in one reader of
 * images is then a contradiction here, not a livepatch.
 */
import { SHDR_WORDS, SHT_NOBITS, SH_ADDR, type ElfImage } from '../../elf';
import { address64 } from '../addresses';
import type { ExportedSymbol } from '../exports';
import { carriedList, type ListedSymbol } from './list';
import { linkedWithin } from './payload';

export type { ListedSymbol } from './list';

/** What a shipped kernel says. */
export interface ShippedKernel {
  path: string;
  elf: ElfImage;
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
  const elf = await linkedWithin(path);
  if (elf === undefined || elf.symbolCount > 1) return undefined;
  const list = carriedList(elf);
  const magic = list.find(({ name }) => name === 'vermagic');
  return {
    path,
    elf,
    list,
    exports: new Map([
      ...exportsOf(elf, '__ksymtab', '__kcrctab', false),
      ...exportsOf(elf, '__ksymtab_gpl', '__kcrctab_gpl', true),
    ]),
    types: sectionOf(elf, '.BTF')?.bytes ?? null,
    vermagic: magic === undefined ? null : textAt(elf, magic.address),
  };
}

function sectionOf(elf: ElfImage, name: string): { address: number; bytes: Uint8Array } | undefined {
  for (let section = 1; section < elf.sectionCount; section++)
    if (elf.type(section) !== SHT_NOBITS && elf.name(section) === name && elf.size(section) > 0)
      return { address: address64(elf.headers, section * SHDR_WORDS + SH_ADDR), bytes: elf.content(section) };
  return undefined;
}

/** Section by section: an entry is three distances (value, name, namespace), of 7.x with a byte of flags elsewhere. */
function* exportsOf(
  elf: ElfImage,
  table: string,
  versions: string,
  gpl: boolean,
): Generator<[name: string, found: ExportedSymbol]> {
  const entries = sectionOf(elf, table);
  if (entries === undefined) return;
  const crcs = sectionOf(elf, versions)?.bytes;
  const flags = sectionOf(elf, '__kflagstab')?.bytes;
  const view = viewOf(entries.bytes);
  for (let i = 0; (i + 1) * 12 <= entries.bytes.length; i++) {
    const string = (field: number): string => textAt(elf, entries.address + field + view.getInt32(field, true));
    const crc = crcs !== undefined && (i + 1) * 4 <= crcs.length ? viewOf(crcs).getUint32(i * 4, true) : 0;
    yield [string(i * 12 + 4), { crc, gpl: gpl || ((flags?.[i] ?? 0) & 1) !== 0, namespace: string(i * 12 + 8) }];
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** The text at an address; empty where the file has none. */
function textAt(elf: ElfImage, address: number): string {
  for (let section = 1; section < elf.sectionCount; section++) {
    const start = address64(elf.headers, section * SHDR_WORDS + SH_ADDR);
    const at = address - start;
    if (start === 0 || elf.type(section) === SHT_NOBITS || at < 0 || at >= elf.size(section)) continue;
    const content = elf.content(section);
    const end = content.indexOf(0, at);
    return Buffer.from(content.subarray(at, end < 0 ? at : end)).toString('latin1');
  }
  return '';
}
