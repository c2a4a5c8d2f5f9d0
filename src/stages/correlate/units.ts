import { STB_LOCAL, STT_FILE } from '../../elf';
import { Trait, type ScanTable } from '../scan';
import { sameContent } from './evidence';
import type { Pairing } from './pairing';
import { append } from '../../lists';

/** Whether an object is of one unit, and LTO promoted nothing in it under another unit's hash. */
function isSole({ listed, listedCount, suffix }: ScanTable, units: ReadonlyMap<unknown, readonly unknown[]>): boolean {
  if (units.size !== 1 || [...units.values()][0]!.length !== 1) return false;
  const hashes = new Set<number>();
  for (let i = 0; i < listedCount; i++) if (suffix[listed[i]!] !== 0) hashes.add(suffix[listed[i]!]!);
  return hashes.size <= 1;
}

/**
 * Pairs compilation units by their FILE symbols: name, ordinal among equal names, and the set of their locals.
 *
 * A FILE symbol holds a base name only: `core.c` stands 23 times in one kernel. Ordinals hold as long as no unit was
 * added, removed or moved, so where the sets of local names disagree the most similar unit of the name is taken instead.
 * Contents decide between equally like units; while they are not known (`contents` false) that is left undone, undefined.
 * Units left over are reported, not fatal: their functions are new or removed.
 */
export function pairUnits(pairing: Pairing, contents: boolean): { removed: number[]; added: number[] } | undefined {
  const { orig, patched } = pairing;
  const origUnits = unitsOf(orig);
  const patchedUnits = unitsOf(patched);
  pairing.soleUnit = isSole(orig, origUnits) && isSole(patched, patchedUnits);
  const left: Unit[] = [];
  const leftOthers: Unit[] = [];
  const join = (a: Unit, b: Unit): void => {
    pairing.unitTwin[a.symbol] = b.symbol;
    pairing.unitOrigin[b.symbol] = a.symbol;
  };
  for (const [name, group] of origUnits) {
    const others = patchedUnits.get(name) ?? [];
    patchedUnits.delete(name);
    const rest = new Set(group);
    const restOthers = new Set(others);
    // First those whose ordinal and locals agree ...
    if (group.length === others.length) {
      group.forEach((unit, ordinal) => {
        const other = others[ordinal]!;
        if (group.length > 1 && unit.sum !== other.sum) return;
        join(unit, other);
        rest.delete(unit);
        restOthers.delete(other);
      });
    }
    if (!contents && rest.size > 0 && restOthers.size > 0) return undefined;
    // ... then the likest of all, the next likest, and so on; only equal likeness falls back to the order.
    for (const [unit, other] of byLikeness(orig, [...rest], patched, [...restOthers])) {
      if (!rest.has(unit) || !restOthers.has(other)) continue;
      join(unit, other);
      rest.delete(unit);
      restOthers.delete(other);
    }
    append(left, rest);
    append(leftOthers, restOthers);
  }
  for (const group of patchedUnits.values()) append(leftOthers, group);
  if (!contents && left.length > 0 && leftOthers.length > 0) return undefined;
  // A unit that was renamed keeps most of its locals.
  const removed = new Set(left);
  const added = new Set(leftOthers);
  if (left.length * leftOthers.length <= MOST_COMPARED) {
    for (const [unit, other, likeness] of byLikeness(orig, left, patched, leftOthers)) {
      if (!removed.has(unit) || !added.has(other) || likeness * 2 < Math.max(unit.last - unit.first, other.last - other.first)) continue;
      join(unit, other);
      removed.delete(unit);
      added.delete(other);
    }
  }
  return { removed: [...removed].map(({ symbol }) => symbol), added: [...added].map(({ symbol }) => symbol) };
}

/** Comparing every unit with every other is for small numbers: a kernel has at most 23 of one name, and few that were renamed. */
const MOST_COMPARED = 10_000;

/** Pairs of units with a common local, likest first. Likeness counts common names, and once more those of equal content. */
function byLikeness(orig: ScanTable, units: readonly Unit[], patched: ScanTable, others: readonly Unit[]): Array<[Unit, Unit, number]> {
  const pairs: Array<[Unit, Unit, number]> = [];
  if (units.length * others.length > MOST_COMPARED) return pairs;
  for (const unit of units) {
    for (const other of others) {
      const empty = unit.last === unit.first && other.last === other.first;
      const likeness = commonLocals(orig, unit, patched, other);
      if (likeness > 0 || (empty && units.length === others.length)) pairs.push([unit, other, likeness]);
    }
  }
  return pairs.sort((a, b) => b[2] - a[2]);
}

interface Unit {
  symbol: number;
  /** Its locals are [first, last) of the listed symbols. */
  first: number;
  last: number;
  /** Order-free sum over the base names of its correlatable locals. */
  sum: number;
}

function unitsOf({ listed, listedCount, info, hash, traits }: ScanTable): Map<string, Unit[]> {
  const units = new Map<string, Unit[]>();
  let current: Unit | undefined;
  for (let i = 0; i < listedCount; i++) {
    const symbol = listed[i]!;
    if ((info[symbol]! & 0xf) === STT_FILE) {
      if (current !== undefined) current.last = i;
      current = { symbol, first: i + 1, last: listedCount, sum: 0 };
      const key = `${hash[symbol * 2]}:${hash[symbol * 2 + 1]}`;
      const group = units.get(key);
      if (group === undefined) units.set(key, [current]);
      else group.push(current);
    } else if (info[symbol]! >>> 4 !== STB_LOCAL) {
      // Globals follow the last local.
      if (current !== undefined) current.last = i;
      break;
    } else if (current !== undefined && (traits[symbol]! & Trait.CORRELATABLE) !== 0) {
      current.sum = (current.sum + Math.imul(hash[symbol * 2]!, 0x9e3779b1) + hash[symbol * 2 + 1]!) | 0;
    }
  }
  return units;
}

function commonLocals(orig: ScanTable, unit: Unit, patched: ScanTable, other: Unit): number {
  const names = new Map<number, number>();
  for (let i = unit.first; i < unit.last; i++) names.set(orig.hash[orig.listed[i]! * 2]!, orig.canonical[orig.listed[i]!]!);
  let common = 0;
  for (let i = other.first; i < other.last; i++) {
    const symbol = patched.listed[i]!;
    const namesake = names.get(patched.hash[symbol * 2]!);
    if (namesake === undefined) continue;
    names.delete(patched.hash[symbol * 2]!);
    common += sameContent(orig, namesake, patched, patched.canonical[symbol]!) ? 2 : 1;
  }
  return common;
}
