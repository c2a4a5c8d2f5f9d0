import { R_SYM } from '../../elf';
import { Kind } from '../scan';
import type { Range } from '../side/range';
import type { Side } from '../side/side';
import { offsetReached } from './place-of';

const known = new WeakMap<Side, Map<number, number>>();

/** The unit of the code or data in a range: its symbol's; of a global the one that all static data belongs to that it refers to. 0 if that is not known. */
export function unitOf(side: Side, user: Range): number {
  const { table, identity } = side;
  const symbol = identity.coverAt(user.section, user.end - 1);
  if (symbol === 0) return unitReferredTo(side, user);
  if (table.isLocal(symbol)) return table.file[symbol]!;
  let units = known.get(side);
  if (units === undefined) known.set(side, (units = new Map()));
  let unit = units.get(symbol);
  if (unit === undefined) units.set(symbol, (unit = unitReferredTo(side, user)));
  return unit;
}

function unitReferredTo(side: Side, user: Range): number {
  const { table, identity } = side;
  let unit = 0;
  for (const { words, at } of side.relasIn(user)) {
    const named = words[at + R_SYM]!;
    if (named >= table.symbols || table.kind[named] !== Kind.PLACE) continue;
    const section = table.section[named]!;
    if (section >= table.sections) continue;
    const offset = offsetReached(side, user, words, at);
    const owner = identity.coverAt(section, offset);
    const file = owner === 0 ? 0 : table.file[owner]!;
    // One that begins where another one ends proves nothing.
    if (file === 0 || (table.value[owner] === offset && identity.coverAt(section, offset - 1) !== 0)) continue;
    if (unit !== 0 && unit !== file) return 0;
    unit = file;
  }
  return unit;
}
