import { STT_SECTION, stringEnd, type ElfObject, type Offset, type SectionIndex, type SymbolIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Side } from './side';

/** A literal of a section of merged strings, terminator included: all that a reference to it may mean. */
export interface Literal {
  start: number;
  end: number;
  /** Bytes of a unit: 1, or those of a wide character. */
  unit: number;
}

/**
 * Whether a distance from a symbol is one in its literal, or its merged constant.
 *
 * Assemblers name one by its place in the section where its start is meant, and by its label for any other distance
 * (`.LC51+0x20`, where the loop of `btf_show_end_aggr_type` ends), for a linker that merges would move one without the other. So a label says whose
 * distance it is: one behind the NUL is no neighbour's start, and the NUL no empty string.
 */
export function isOwnLabel({ table }: Side, symbol: SymbolIndex): boolean {
  return (
    (table.sectionClass[table.section[symbol]!]! & (SectionClass.STRING | SectionClass.CONSTANT)) !== 0 &&
    table.typeOf(symbol) !== STT_SECTION
  );
}

/** The literal around an offset of a string section; undefined where that lies within a unit, or nothing ends the literal. */
export function literalAt(object: ElfObject, section: SectionIndex, offset: Offset): Literal | undefined {
  const size = object.size(section);
  const unit = object.entsize(section) || 1;
  if (offset < 0 || offset >= size || offset % unit !== 0) return undefined;
  const from = object.offset(section);
  const end = stringEnd(object.bytes, from + offset, from + size, unit) + unit - from;
  if (end > size) return undefined;
  // Of a literal that a linker merged into the tail of another one, all of that goes along.
  let start = offset;
  while (start > 0 && !isZero(object.bytes, from + start - unit, unit)) start -= unit;
  return { start, end, unit };
}

function isZero(bytes: Uint8Array, at: number, unit: number): boolean {
  for (let i = 0; i < unit; i++) if (bytes[at + i] !== 0) return false;
  return true;
}
