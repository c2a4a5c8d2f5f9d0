import {
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  s64,
  u64,
  type Offset,
  type SectionIndex,
  type SymbolIndex,
} from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Range } from '../side/range';
import type { Side } from '../side/side';
import { labelOf } from '../side/labels';
import { isOwnLabel } from '../side/literal';
import { biasOf, meaningOf, shiftOf, type Reading } from '../places';
import { Kind, SECTION_ABS, SECTION_COMMON } from '../scan';

/**
 * What a relocation of PATCHED refers to, in terms that hold wherever the target is copied.
 *
 * `addend` is what to add to the target's new place (of the symbol, or of the place at `offset`): the distance into the
 * target less the bytes that the processor adds for the rest of the instruction.
 */
export type Reference = {
  field: number;
  type: number;
  addend: number;
} /** `symbol` is canonical; `named` is the one of its names that the relocation has; `inside` is the function that a label without a size lies in, else 0; `others` is what else may be meant than the place `delta` from it. */ & (
  | { kind: 'symbol'; symbol: SymbolIndex; named: number; inside: number; delta?: number; others?: readonly Reading[] }
  | { kind: 'undefined' | 'absolute' | 'common'; symbol: SymbolIndex }
  /** A literal, by any place of it; `label` is the symbol that the distance `addend` counts from, 0 where its start is meant. */
  | { kind: 'string'; section: SectionIndex; offset: Offset; label: number }
  /** A place in a section that no symbol covers; `foreign`: one that only a static variable of another unit covers. */
  | { kind: 'place' | 'foreign'; section: SectionIndex; offset: Offset }
);

/** The references from a range, in offset order. Relocations of type NONE refer to nothing: boot code rewrote their sites. */
export function referencesIn(side: Side, range: Range): Reference[] {
  const found: Reference[] = [];
  const { words, at, stop } = side.identity.relas.select(range.section, range.start, range.end);
  for (let i = at; i < stop; i += RELA_WORDS) {
    const field = u64(words, i + R_OFFSET);
    if (
      field < range.start ||
      field >= range.end ||
      words[i + R_TYPE] === side.arch.none ||
      side.arch.isHint(words[i + R_TYPE]!)
    )
      continue;
    found.push(resolve(side, range, words, i, field));
  }
  return found;
}

function resolve(side: Side, range: Range, words: Uint32Array, i: number, field: number): Reference {
  const { table, object } = side;
  const symbol = words[i + R_SYM]!;
  if (symbol >= table.symbols)
    object.malformed(
      object.offset(range.section),
      `a rela of section ${range.section} names symbol ${symbol} of ${table.symbols}`,
    );
  const type = words[i + R_TYPE]!;
  const addend = s64(words, i + R_ADDEND);
  const section = table.section[symbol]!;
  const common = { field, type, addend };
  if (table.kind[symbol] === Kind.UNDEFINED) return { ...common, kind: 'undefined', symbol };
  if (section === SECTION_ABS) return { ...common, kind: 'absolute', symbol };
  if (section === SECTION_COMMON) return { ...common, kind: 'common', symbol };
  if (section >= table.sections)
    object.malformed(
      object.offset(range.section),
      `a rela of section ${range.section} names symbol ${symbol}, which is defined nowhere`,
    );

  const value = table.value[symbol]!;
  const kind = table.kind[symbol]!;
  if (kind !== Kind.PLACE && kind !== Kind.STRING) {
    // A label inside a function (`entry_SYSCALL_64_after_hwframe`).
    const owner =
      table.size[symbol] === 0 && inCode(table.sectionClass[section]!) ? side.identity.coverAt(section, value) : 0;
    return { ...common, kind: 'symbol', symbol: table.canonical[symbol]!, named: symbol, inside: owner };
  }
  const bias = biasOf(side, range, field, type);
  const shift = shiftOf(side, range.section, field);
  const offset = value + addend + bias + shift;
  const labelled = offset !== value && isOwnLabel(side, symbol);
  if (table.sectionClass[section]! & SectionClass.STRING) {
    return labelled
      ? { ...common, kind: 'string', section, offset: value, label: symbol }
      : { ...common, kind: 'string', section, offset, label: 0, addend: -bias };
  }
  if (labelled && object.entsize(section) > 0) return { ...common, kind: 'place', section, offset: value };
  const meant = labelOf(side, range.section, field, type, section, offset);
  const { symbol: owner, delta, others, foreign } = meaningOf(side, range, field, symbol, section, meant);
  if (owner === 0 && others.length === 0)
    return {
      ...common,
      kind: foreign ? 'foreign' : 'place',
      section,
      offset: meant,
      addend: offset - meant - bias - shift,
    };
  return {
    ...common,
    kind: 'symbol',
    symbol: owner,
    named: owner,
    inside: 0,
    addend: delta + offset - meant - bias - shift,
    ...(others.length === 0 ? {} : { delta, others }),
  };
}

function inCode(sectionClass: number): boolean {
  return (sectionClass & SectionClass.EXEC) !== 0;
}
