import { KlpflowError } from '../../diagnostics';
import type { ElfObject } from '../../elf';
import { Role } from '../../kernel/sections';
import type { ScanTable } from './table';

/** One a unit since GCC 10; its fifth byte says that there is nothing else. */
const HEADER = '.gnu.lto_.lto.';
const SLIM_BYTE = 4;
/** The common symbol by which GCC's linker plugin knew such a unit before. */
const MARK = '__gnu_lto_slim';

/**
 * Refuses GCC's slim LTO objects: well-formed ELF without a single function, so that any two of them were the same. Fat ones (-ffat-lto-objects)
 * hold machine code beside, and are as good as others.
 * @throws KlpflowError `bitcode`
 */
export function refuseUngenerated(object: ElfObject, table: ScanTable): void {
  const sections = table.ofRole(Role.LTO);
  if (sections.length === 0) return;
  const slim = sections.find(
    (section) => object.name(section).startsWith(HEADER) && (object.content(section)[SLIM_BYTE] ?? 0) !== 0,
  );
  if (slim === undefined && !hasMark(object, table)) return;
  throw new KlpflowError(
    'bitcode',
    `${object.path} was compiled by GCC for LTO (a slim object: .gnu.lto_* and no machine code): code generation has not happened yet`,
    { object: object.path, section: object.name(slim ?? sections[0]!) },
  );
}

function hasMark(object: ElfObject, { symbols, nameLength }: ScanTable): boolean {
  for (let symbol = 1; symbol < symbols; symbol++)
    if (nameLength[symbol] === MARK.length && object.symbolName(symbol) === MARK) return true;
  return false;
}
