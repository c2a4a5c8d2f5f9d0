/** Which units are alike: by what tells one driver's `core.c` from another's. */
import type { SymbolIndex } from '../../elf';
import { Trait, type ScanTable } from '../scan';
import { sameContent } from './evidence';
import type { Pairing } from './pairing';
import type { BothUses, UseIndex } from './use-index';

/** Comparing every unit with every other is for small numbers: a kernel has at most 23 of one name, and few that were renamed. */
const MOST_COMPARED = 10_000;

/** What a global function of one name that uses locals of both weighs; of a local, its name is worth 1, and its content once more. */
const COMMON_USER = 4;

interface Likeness {
  value: number;
  /** Functions of equal content, users, and names that no other unit here has: without any, equal names are no more than a habit of drivers. */
  evidence: number;
}

/**
 * Pairs that are likelier than every other of either unit, and have more than equal names to show. Takes out the likest and goes on
 * with the others, so that of two units one that did not change tells which the other is.
 *
 * @param renamed the units are of different names: then most of the locals have to be common, too
 */
export function likest(
  pairing: Pairing,
  uses: BothUses,
  units: readonly Unit[],
  others: readonly Unit[],
  renamed = false,
): Array<[Unit, Unit]> {
  const found: Array<[Unit, Unit]> = [];
  if (units.length === 0 || others.length === 0 || units.length * others.length > MOST_COMPARED) return found;
  const { orig, patched } = pairing;
  const owners = namesByUnits(orig, units, patched, others);
  const ours = units.map((unit) => ({ table: orig, unit, users: globalUsers(orig, uses.orig, unit) }));
  const theirs = others.map((unit) => ({ table: patched, unit, users: globalUsers(patched, uses.patched, unit) }));
  const likeness = units.map((_, i) => others.map((__, j) => likenessOf(ours[i]!, theirs[j]!, owners)));
  const [rest, restOthers] = [new Set(units.keys()), new Set(others.keys())];
  for (let progress = true; progress; ) {
    progress = false;
    for (const i of rest) {
      for (const j of restOthers) {
        const { value, evidence } = likeness[i]![j]!;
        if (
          evidence === 0 ||
          (renamed && value * 2 < Math.max(units[i]!.last - units[i]!.first, others[j]!.last - others[j]!.first))
        )
          continue;
        if (
          [...restOthers].some((other) => other !== j && likeness[i]![other]!.value >= value) ||
          [...rest].some((other) => other !== i && likeness[other]![j]!.value >= value)
        )
          continue;
        found.push([units[i]!, others[j]!]);
        rest.delete(i);
        restOthers.delete(j);
        progress = true;
        break;
      }
    }
  }
  return found;
}

/** A unit of one build, with the names of global functions that use its locals. */
interface KnownUnit {
  table: ScanTable;
  unit: Unit;
  users: ReadonlySet<SymbolIndex>;
}

function likenessOf(
  { table: orig, unit, users }: KnownUnit,
  { table: patched, unit: other, users: otherUsers }: KnownUnit,
  owners: ReadonlyMap<number, number>,
): Likeness {
  const names = new Map<number, number>();
  for (let i = unit.first; i < unit.last; i++) names.set(keyOf(orig, orig.listed[i]!), orig.listed[i]!);
  let value = 0;
  let evidence = 0;
  for (let i = other.first; i < other.last; i++) {
    const symbol = patched.listed[i]!;
    const key = keyOf(patched, symbol);
    const namesake = names.get(key);
    if (namesake === undefined) continue;
    names.delete(key);
    value++;
    if (owners.get(key) === 2) evidence++;
    if (!sameContent(orig, orig.canonical[namesake]!, patched, patched.canonical[symbol]!)) continue;
    value++;
    if (patched.has(symbol, Trait.FUNC)) evidence++;
  }
  for (const user of users) {
    if (!otherUsers.has(user)) continue;
    value += COMMON_USER;
    evidence++;
  }
  return { value, evidence };
}

/** Whether a local of a unit is not as its twin. Asked of all units that share a name, half of a kernel's: by one word of the digests. */
export function hasOtherContents({ orig, patched, twin }: Pairing, { first, last }: Unit): boolean {
  for (let i = first; i < last; i++) {
    const symbol = orig.listed[i]!;
    const other = twin[symbol]!;
    if (other !== 0 && orig.digest[orig.canonical[symbol]! * 4] !== patched.digest[patched.canonical[other]! * 4])
      return true;
  }
  return false;
}

/** In how many of these units each local name occurs. */
function namesByUnits(
  orig: ScanTable,
  units: readonly Unit[],
  patched: ScanTable,
  others: readonly Unit[],
): Map<number, number> {
  const counts = new Map<number, number>();
  const count = (table: ScanTable, list: readonly Unit[]): void => {
    for (const { first, last } of list) {
      const names = new Set<number>();
      for (let i = first; i < last; i++) names.add(keyOf(table, table.listed[i]!));
      for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  };
  count(orig, units);
  count(patched, others);
  return counts;
}

/** Names of global functions that refer to a unit's locals: they stand behind all locals, and no FILE symbol says whose they are. */
function globalUsers(table: ScanTable, uses: UseIndex, { first, last }: Unit): Set<number> {
  const found = new Set<number>();
  for (let i = first; i < last; i++) {
    const local = table.listed[i]!;
    if (table.canonical[local] !== local) continue;
    for (const user of uses.usersOf(local))
      if (table.file[user] === 0 && !table.has(user, Trait.AMBIGUOUS)) found.add(keyOf(table, user));
  }
  return found;
}

function keyOf({ hash }: ScanTable, symbol: SymbolIndex): number {
  return hash[symbol * 2]! * 0x200000 + (hash[symbol * 2 + 1]! & 0x1fffff);
}

export interface Unit {
  symbol: SymbolIndex;
  /** Its locals are [first, last) of the listed symbols. */
  first: number;
  last: number;
  /** Order-free sum over the base names of its correlatable locals. */
  sum: number;
}
