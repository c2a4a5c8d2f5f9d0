import type { KallsymsList } from './kallsyms';
import type { ImageMemory } from './memory';
import { malformed } from './unpack/fail';

/** An export of vmlinux; `crc` is 0 where the kernel has no versions. */
export interface ImageExport {
  name: string;
  crc: number;
  gpl: boolean;
  namespace: string;
}

/** struct kernel_symbol: value, name, namespace, each a distance from itself (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS: x86 and arm64). */
const ENTRY = 12;
/** KSYM_NAME_LEN. */
const LONGEST = 512;

interface ExportTable {
  start: number;
  stop: number;
  /** Where the CRCs stand, a u32 an entry; undefined without CONFIG_MODVERSIONS. */
  crcs: number | undefined;
  gpl: (index: number) => boolean;
}

/**
 * What vmlinux exports, with versions, in the order of its tables. Each entry must lead to an address at which the symbol list has
 * its name; that of a per-CPU variable is counted modulo 2^64.
 * @throws KlpflowError `malformed-image`
 */
export function readExports(memory: ImageMemory, list: KallsymsList): ImageExport[] {
  const found: ImageExport[] = [];
  for (const table of tablesOf(memory, list)) {
    for (let i = 0, at = table.start; at < table.stop; i++, at += ENTRY) {
      const [value, name, namespace] = [0, 4, 8].map((field) => {
        const word = memory.s32(at + field);
        return word === undefined ? undefined : at + field + word;
      });
      const text = name === undefined ? undefined : memory.textAt(name, LONGEST);
      const space = namespace === undefined ? undefined : memory.textAt(namespace, LONGEST);
      const crc = table.crcs === undefined ? 0 : memory.s32(table.crcs + i * 4);
      if (value === undefined || text === undefined || text === '' || space === undefined || crc === undefined)
        return malformed(memory.path, Math.max(0, memory.locate(at, 1)), `export ${i} leads out of the image`);
      if (!isAt(list, value, text))
        malformed(
          memory.path,
          memory.locate(at, 1),
          `the export ${text} leads to where the symbol list has no such name`,
        );
      found.push({ name: text, crc: crc >>> 0, gpl: table.gpl(i), namespace: space });
    }
  }
  return found;
}

/** To 6.x two tables, of which the second is for GPL modules; from 7.x on one, with a byte of flags for each entry. */
function tablesOf(memory: ImageMemory, list: KallsymsList): ExportTable[] {
  const range = (what: string): { start: number; stop: number } | undefined => {
    const start = list.addressOf(`__start___${what}`);
    const stop = list.addressOf(`__stop___${what}`);
    return start === undefined || stop === undefined || stop <= start ? undefined : { start, stop };
  };
  const flags = range('kflagstab');
  const isGpl = (index: number): boolean =>
    flags !== undefined && ((memory.bytesAt(flags.start + index, 1)?.[0] ?? 0) & 1) !== 0;
  const tables: ExportTable[] = [];
  for (const suffix of ['', '_gpl']) {
    const symbols = range(`ksymtab${suffix}`);
    if (symbols === undefined) continue;
    // The `__stop` of CRCs is not in every list; the table has an entry an export, or is not there.
    const start = list.addressOf(`__start___kcrctab${suffix}`);
    const stop = list.addressOf(`__stop___kcrctab${suffix}`);
    const crcs = start === undefined || stop === start ? undefined : start;
    tables.push({ ...symbols, crcs, gpl: suffix === '' ? isGpl : () => true });
  }
  return tables;
}

/** Whether the list has the name at the address. Per-CPU ones are distances from address 0, which an entry can only name by overflow. */
function isAt(list: KallsymsList, value: number, name: string): boolean {
  const address = value >= 2 ** 63 ? value - 2 ** 64 : value;
  for (let entry = list.firstAt(address); entry < list.count && list.addresses[entry] === address; entry++)
    if (list.isNamed(entry, name)) return true;
  return false;
}

/** Lines as Module.symvers has them. */
export function symversText(exports: readonly ImageExport[], owner = 'vmlinux'): string {
  return exports
    .map(
      ({ name, crc, gpl, namespace }) =>
        `0x${crc.toString(16).padStart(8, '0')}\t${name}\t${owner}\tEXPORT_SYMBOL${gpl ? '_GPL' : ''}\t${namespace}\n`,
    )
    .join('');
}
