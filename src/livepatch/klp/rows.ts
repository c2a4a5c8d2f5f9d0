import { archOf } from '../../arch';
import {
  RELA_SIZE,
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  SHT_RELA,
  s64,
  u64,
  type ElfObject,
  type Offset,
  type SymbolIndex,
} from '../../elf';
import { setU64 } from '../../elf/encode';

/** A relocation as the file has it. */
export interface RelaRow {
  offset: Offset;
  type: number;
  /** Number in the symbol table. */
  symbol: SymbolIndex;
  addend: number;
  /** File offset of the record. */
  at: number;
}

/**
 * All relocations, by the section that they apply to; each lies in it and names a symbol that exists.
 * @throws KlpflowError `malformed-elf`
 */
export function relasBySection(elf: ElfObject): Map<number, RelaRow[]> {
  const all = new Map<number, RelaRow[]>();
  const arch = archOf(elf.machine, elf.path);
  for (let section = 1; section < elf.sectionCount; section++) {
    if (elf.type(section) !== SHT_RELA) continue;
    const target = elf.info(section);
    const rows = all.get(target) ?? [];
    all.set(target, rows);
    const words = elf.relas(section);
    const size = elf.size(target);
    for (let i = 0; i < words.length; i += RELA_WORDS) {
      const row = {
        offset: u64(words, i + R_OFFSET),
        type: words[i + R_TYPE]!,
        symbol: words[i + R_SYM]!,
        addend: s64(words, i + R_ADDEND),
        at: elf.offset(section) + (i / RELA_WORDS) * RELA_SIZE,
      };
      if (row.offset + arch.linked(row.type)[1] > size)
        elf.malformed(
          row.at,
          `the relocation at ${row.offset} lies outside section ${target} (${elf.name(target)}, ${size} bytes)`,
        );
      if (row.symbol >= elf.symbolCount)
        elf.malformed(row.at, `the relocation names symbol ${row.symbol} of ${elf.symbolCount}`);
      if (!Number.isSafeInteger(row.addend)) elf.malformed(row.at, 'the addend is one that no kernel object has');
      rows.push(row);
    }
  }
  return all;
}

/** Rows as the content of a rela section of an x86-64 object. */
export function relaBytes(rows: ReadonlyArray<Omit<RelaRow, 'at'>>): Uint8Array {
  const bytes = new Uint8Array(rows.length * RELA_SIZE);
  const view = new DataView(bytes.buffer);
  rows.forEach(({ offset, type, symbol, addend }, i) => {
    setU64(view, i * RELA_SIZE, offset, true);
    view.setUint32(i * RELA_SIZE + 8, type, true);
    view.setUint32(i * RELA_SIZE + 12, symbol, true);
    setU64(view, i * RELA_SIZE + 16, addend, true);
  });
  return bytes;
}
