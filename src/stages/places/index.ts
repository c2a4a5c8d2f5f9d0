/**
 * places: which object does a reference mean?
 *
 * One answer for all stages. A reference that names a symbol means that one. Of one that names a section and an offset readings.ts says what
 * it may mean; where that is more than one object, the other references of the same function or object, what its instructions do with the
 * address, and what its twin refers to decide (meanings.ts). The neighbour that happens to lie there is the last guess.
 */
import type { Offset, SectionIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Range } from '../side/range';
import type { Side } from '../side/side';
import { meaningsOf } from './meanings';
import { readingsAt } from './readings';
import type { Reading } from '../side/reading';
import { unitOf } from './unit';

export { meet } from './counterpart';
export type { Counterpart } from '../side/side';
export { biasOf, offsetReached, shiftOf } from './place-of';
export type { Reading } from '../side/reading';

/** What a reference to a place means. `symbol` is 0 for what no symbol covers. */
export interface Meaning extends Reading {
  /** What else it may mean, where nothing tells. */
  others: readonly Reading[];
  /** Only a static variable of another unit lies there. */
  foreign: boolean;
}

/**
 * What the reference of `field` (an offset in `user`'s section) to a place means.
 *
 * @param by the symbol that its relocation names
 */
export function meaningOf(
  side: Side,
  user: Range,
  field: number,
  by: number,
  section: SectionIndex,
  offset: Offset,
): Meaning {
  const { table, identity } = side;
  const readings = readingsAt(side, by, section, offset, () => unitOf(side, around(side, user, field)));
  const usual = (readings.unusual ? undefined : readings.list[0]) ?? { symbol: 0, delta: 0 };
  // Entries of special sections name the object they belong to.
  const sure =
    (readings.list.length < 2 && !readings.unusual) ||
    (table.sectionClass[user.section]! & (SectionClass.SPECIAL | SectionClass.DERIVED)) !== 0 ||
    identity.coverAt(user.section, field) === 0;
  if (sure) return { ...usual, others: [], foreign: readings.foreign };
  const meanings = meaningsOf(side, user, field);
  const decided = meanings.at(field - meanings.range.start)?.decided;
  if (decided !== undefined) return { ...decided, others: [], foreign: false };
  return { ...usual, others: readings.list.filter((reading) => reading !== usual), foreign: readings.foreign };
}

/** The function or object around a field, or what its user is where no symbol says more. */
function around(side: Side, user: Range, field: number): Range {
  const symbol = side.identity.coverAt(user.section, field);
  return symbol === 0 ? user : side.rangeOf(symbol);
}
