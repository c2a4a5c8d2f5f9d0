import { STT_SECTION, type Offset, type SectionIndex, type SymbolIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import { REACH_BEFORE, REACH_BEHIND, Trait } from '../scan';
import type { Side } from '../side/side';
import type { Reading } from '../side/reading';

/** What a reference by section and offset may mean. */
export interface Readings {
  /** The usual one first, if there is any: what lies at the place, or the object that ends there. Empty for what no symbol covers. */
  list: readonly Reading[];
  /** The second one is an object that ends where the first one begins: nothing about the place tells them apart. */
  between: boolean;
  /** The place lies in none of them, nor at the end of one: something must speak for it. */
  unusual: boolean;
  /** Only a static variable of another unit lies there, which is never meant. */
  foreign: boolean;
}

const NEVER =
  SectionClass.EXEC |
  SectionClass.SPECIAL |
  SectionClass.DERIVED |
  SectionClass.STRING |
  SectionClass.TOC |
  SectionClass.RECORD;
/** Data without a name that begins at the place. */
const NAMELESS: Reading = { symbol: 0, delta: 0 };
const ANONYMOUS: Readings = { list: [], between: false, unusual: false, foreign: false };

/**
 * What a reference to a place of a section may mean.
 *
 * Compilers refer to static data that way, and to places before and behind it: `bh_lrus + 128`, the end of a loop, is where another
 * unit's `__percpu_rwsem_rc_file_rwsem` begins, and `parse_pred` counts down from `ops - 8` (Linux 6.12, GCC 12). Static data of another
 * unit is never meant, and what others may name is referred to by its name: assemblers make section and offset of local symbols alone.
 *
 * @param by the symbol of the relocation
 * @param unitOf the unit of who refers, 0 if not known
 */
export function readingsAt(
  side: Side,
  by: number,
  section: SectionIndex,
  offset: Offset,
  unitOf: () => number,
): Readings {
  const { table, object, identity } = side;
  const bits = table.sectionClass[section]!;
  if ((bits & SectionClass.CONSTANT) !== 0 && object.entsize(section) > 0) return ANONYMOUS;
  const found = identity.objectAt(section, offset);
  const only = (symbol: SymbolIndex): Readings => ({
    ...ANONYMOUS,
    list: [{ symbol, delta: offset - table.value[symbol]! }],
  });
  if (
    (bits & (NEVER | SectionClass.READONLY)) === SectionClass.READONLY &&
    table.coverStart[section + 1] === table.coverStart[section]
  )
    return { ...ANONYMOUS, list: [NAMELESS] };
  if ((bits & NEVER) !== 0 || table.sole[section] !== 0 || table.coverStart[section + 1] === table.coverStart[section])
    return found === 0 ? ANONYMOUS : only(found);

  const unit = unitOf();
  const isLocal = (symbol: SymbolIndex): boolean => table.isLocal(symbol);
  const bySection = table.typeOf(by) === STT_SECTION;
  const mayMean = (symbol: SymbolIndex): boolean =>
    symbol !== 0 &&
    table.has(symbol, Trait.OBJECT) &&
    (isLocal(symbol) ? unit === 0 || table.file[symbol] === unit : !bySection);
  const covering = identity.coverAt(section, offset);
  const start = covering === 0 ? offset : table.value[covering]!;
  const near: number[] = [];
  const pastEnd = (symbol: SymbolIndex): number => offset - table.value[symbol]! - table.size[symbol]!;
  for (
    let before = identity.objectBefore(section, start);
    before !== 0 && pastEnd(before) < REACH_BEHIND;
    before = identity.objectBefore(section, table.value[before]!)
  ) {
    if (mayMean(before) && pastEnd(before) >= 0) near.push(before);
  }
  const ends = near.length > 0 && pastEnd(near[0]!) === 0;
  const behind = identity.objectBehind(section, offset);
  if (mayMean(behind) && table.value[behind]! - offset <= REACH_BEFORE) near.push(behind);
  const list = (symbols: readonly SymbolIndex[], more: Partial<Readings> = {}): Readings => ({
    ...ANONYMOUS,
    ...more,
    list: symbols.map((symbol) => ({ symbol, delta: offset - table.value[symbol]! })),
  });

  if (
    covering !== 0 &&
    (mayMean(covering) || (!isLocal(covering) && !(ends && offset === start)) || !table.has(covering, Trait.OBJECT))
  ) {
    return list([covering, ...near.filter((symbol) => symbol !== covering)], { between: ends && offset === start });
  }
  const outside = offset < 0 || offset >= object.size(section);
  if (ends) {
    const ending = list(near);
    const nameless =
      covering === 0 &&
      !outside &&
      (bits & (SectionClass.READONLY | SectionClass.ANONYMOUS)) !== 0 &&
      isData(side, section, offset);
    return nameless ? { ...ending, list: [NAMELESS, ...ending.list], between: true } : ending;
  }
  // Behind the last symbol of read-only data begins what has no name.
  if (covering === 0 && !outside && (bits & (SectionClass.READONLY | SectionClass.ANONYMOUS)) !== 0)
    return { ...ANONYMOUS, list: [NAMELESS] };
  const sole = unit === 0 ? 0 : onlyOf(side, section, offset, unit);
  if (sole !== 0) return only(sole);
  const foreign = found !== 0 && (covering !== 0 || (bits & SectionClass.READONLY) === 0);
  return list(near, { unusual: near.length > 0, foreign });
}

/** Whether what no symbol covers is more than padding. */
function isData({ object, extents, identity }: Side, section: SectionIndex, offset: Offset): boolean {
  const { end } = extents.widestAt(section, offset);
  if (
    end - offset >= object.align(section) ||
    object
      .content(section)
      .subarray(offset, end)
      .some((byte) => byte !== 0)
  )
    return true;
  const { at, stop } = identity.relas.select(section, offset, end);
  return at < stop;
}

/** The only static object of a unit in a section, if the place is no further from it than it is long. */
function onlyOf({ table }: Side, section: SectionIndex, offset: Offset, unit: number): number {
  let only = 0;
  for (let i = table.coverStart[section]!; i < table.coverStart[section + 1]!; i++) {
    const symbol = table.covers[i]!;
    if (table.canonical[symbol] !== symbol || table.file[symbol] !== unit || !table.has(symbol, Trait.OBJECT)) continue;
    if (only !== 0) return 0;
    only = symbol;
  }
  const start = table.value[only]!;
  const size = table.size[only]!;
  return only !== 0 && offset >= start - size && offset <= start + 2 * size ? only : 0;
}
