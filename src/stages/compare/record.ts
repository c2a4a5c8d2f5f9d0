import type { SymbolIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import { kernelSection, type RecordLine } from '../../kernel/sections';
import type { Side } from '../side/side';

/** Where the record that a symbol is holds its line; undefined for other data. */
export function lineOfRecord(side: Side, symbol: SymbolIndex): RecordLine | undefined {
  const section = side.table.section[symbol]!;
  // COMMON and ABS are no sections.
  return section < side.table.sections && (side.table.sectionClass[section]! & SectionClass.RECORD) !== 0
    ? kernelSection(side.sectionName(symbol))?.record?.(side.object.little)
    : undefined;
}

/** Whether the bits that differ in byte `at` are bits of the record's line. */
export function isLineByte({ offset, mask }: RecordLine, little: boolean, at: number, bits: number): boolean {
  const byte = at - offset;
  if (byte < 0 || byte > 3) return false;
  return (bits & ~((mask >>> ((little ? byte : 3 - byte) * 8)) & 0xff)) === 0;
}

/** Whether two symbols are records of equal bytes, their lines aside. */
export function sameRecordBytes(a: Side, b: Side, symbolA: SymbolIndex, symbolB: SymbolIndex): boolean {
  const record = lineOfRecord(a, symbolA);
  if (record === undefined || lineOfRecord(b, symbolB) === undefined) return false;
  const [ours, theirs] = [a.bytes(symbolA), b.bytes(symbolB)];
  return (
    ours.length === theirs.length &&
    ours.every((byte, at) => byte === theirs[at] || isLineByte(record, a.object.little, at, byte ^ theirs[at]!))
  );
}
