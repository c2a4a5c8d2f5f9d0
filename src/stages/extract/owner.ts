import { STB_LOCAL } from '../../elf';
import { SectionClass } from '../../livepatch/section-class';
import type { Range, Side } from '../compare';
import { Trait } from '../scan';

/** Whose a place is: a symbol's, nobody's (0), or, as far as the place alone tells, a static variable's of another unit, which cannot be meant. */
export type Owner = number | 'foreign';

const NEVER = SectionClass.EXEC | SectionClass.SPECIAL | SectionClass.DERIVED | SectionClass.STRING;

/**
 * The symbol that a reference by section and offset means.
 *
 * Compilers refer to static data that way, and to places before and behind it: `bh_lrus + 128`, the end of a loop, is where another
 * unit's `__percpu_rwsem_rc_file_rwsem` begins, and `parse_pred` counts down from `ops - 8` (Linux 6.12, GCC 12). In the running kernel
 * the neighbour may lie elsewhere. Static data of another unit is never meant, so the unit of who refers tells.
 *
 * @param places where the references of the same range lead by section and offset, to tell the unit of a global
 */
export function ownerOf(side: Side, user: Range, section: number, offset: number, places: () => Iterable<readonly [section: number, offset: number]>): Owner {
  const { table, object, identity } = side;
  const bits = table.sectionClass[section]!;
  if (bits & SectionClass.CONSTANT && object.entsize(section) > 0) return 0;
  const found = identity.objectAt(section, offset);
  if ((bits & NEVER) !== 0 || table.coverStart[section + 1] === table.coverStart[section]) return found;
  const covering = identity.coverAt(section, offset);
  const before = offset === table.value[found]! ? identity.coverAt(section, offset - 1) : 0;
  const outside = found === 0 && (offset < 0 || offset >= object.size(section));
  const suspect = outside || before !== 0 || (found !== 0 && table.file[found] !== 0);
  const unit = suspect ? unitOf(side, user, places) : 0;
  if (unit === 0 || table.file[found] === unit) return found;
  // The end of the unit's own object.
  if (before !== 0 && table.file[before] === unit) return before;
  if (!outside && table.file[found] === 0) return found;
  const near = nearOf(side, section, offset, unit);
  if (near !== 0) return near;
  // Behind another unit's object begins what has no name.
  return found === 0 || (covering === 0 && (bits & SectionClass.READONLY) !== 0) ? 0 : 'foreign';
}

/** The only static object of a unit in a section, if the place is no further from it than it is long. */
function nearOf({ table }: Side, section: number, offset: number, unit: number): number {
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

/** The unit of the code or data in a range: its symbol's; of a global the one that all static data belongs to that it refers to. 0 if that is not known. */
function unitOf(side: Side, { section, end }: Range, places: () => Iterable<readonly [section: number, offset: number]>): number {
  const { table, identity } = side;
  const user = identity.coverAt(section, end - 1);
  if (user !== 0 && table.info[user]! >>> 4 === STB_LOCAL) return table.file[user]!;
  let unit = 0;
  for (const [target, offset] of places()) {
    const owner = target < table.sections ? identity.coverAt(target, offset) : 0;
    const file = owner === 0 ? 0 : table.file[owner]!;
    // One that begins where another one ends proves nothing.
    if (file === 0 || (table.value[owner] === offset && identity.coverAt(target, offset - 1) !== 0)) continue;
    if (unit !== 0 && unit !== file) return 0;
    unit = file;
  }
  return unit;
}
