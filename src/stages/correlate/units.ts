import { STB_LOCAL, STT_FILE } from '../../elf';
import { Trait, type ScanTable } from '../scan';
import { UNDECIDED_UNIT } from './groups';
import type { Pairing } from './pairing';
import { hasOtherContents, likest } from './unit-likeness';
import type { BothUses } from './use-index';
import { append } from '../../lists';
import type { Unit } from './unit-likeness';

/** Whether an object is of one unit, and LTO promoted nothing in it under another unit's hash. */
function isSole({ listed, listedCount, suffix }: ScanTable, units: ReadonlyMap<unknown, readonly unknown[]>): boolean {
  if (units.size !== 1 || [...units.values()][0]!.length !== 1) return false;
  const hashes = new Set<number>();
  for (let i = 0; i < listedCount; i++) if (suffix[listed[i]!] !== 0) hashes.add(suffix[listed[i]!]!);
  return hashes.size <= 1;
}

export interface PairedUnits {
  /** FILE symbols without a twin. */
  removed: number[];
  added: number[];
  /** Units that share their name with others. */
  namesakes: Namesakes[];
}

interface Namesakes {
  orig: readonly Unit[];
  patched: readonly Unit[];
}

/**
 * Pairs compilation units by their FILE symbols: by name, and by the set of their locals where several have one name.
 *
 * A FILE symbol holds a base name only: `core.c` stands 23 times in one kernel, `probe` and `remove` in most of them. Where names do not
 * decide, contents and users do (`likest`), which takes `uses`; without, that is left undone, undefined. Never the order: a Makefile edit
 * changes it. Units of one name that nothing tells apart stay together, and their locals pair one by one if at all. Those
 * without any counterpart are reported, not fatal: their functions are new or removed.
 */
export function pairUnits(pairing: Pairing, uses: BothUses | undefined): PairedUnits | undefined {
  const { orig, patched } = pairing;
  const origUnits = unitsOf(orig);
  const patchedUnits = unitsOf(patched);
  pairing.soleUnit = isSole(orig, origUnits) && isSole(patched, patchedUnits);
  const left: Unit[] = [];
  const leftOthers: Unit[] = [];
  const join = (a: Unit, b: Unit): void => {
    pairing.unitTwin[a.symbol] = b.symbol;
  };
  const namesakes: Namesakes[] = [];
  let undecided = 0;
  for (const [name, group] of origUnits) {
    const others = patchedUnits.get(name) ?? [];
    patchedUnits.delete(name);
    const rest = new Set(group);
    const restOthers = new Set(others);
    const take = (a: Unit, b: Unit): void => {
      join(a, b);
      rest.delete(a);
      restOthers.delete(b);
    };
    if (group.length === 1 && others.length === 1) take(group[0]!, others[0]!);
    else {
      namesakes.push({ orig: group, patched: others });
      // Names alone first; where contents and users are known these, for the one's locals may by now have the names that the other's had.
      if (uses !== undefined) for (const [a, b] of likest(pairing, uses, group, others)) take(a, b);
      for (const [a, b] of bySum([...rest], [...restOthers])) if (uses === undefined || a.sum === 0) take(a, b);
    }
    if (uses === undefined && rest.size > 0 && restOthers.size > 0) return undefined;
    if (rest.size > 0 && restOthers.size > 0) {
      // Their locals may be anyone's of the other build.
      undecided++;
      for (const unit of rest) pairing.unitTwin[unit.symbol] = UNDECIDED_UNIT + undecided;
      for (const unit of restOthers) pairing.undecidedUnits.set(unit.symbol, UNDECIDED_UNIT + undecided);
      continue;
    }
    append(left, rest);
    append(leftOthers, restOthers);
  }
  for (const group of patchedUnits.values()) append(leftOthers, group);
  if (uses === undefined && left.length > 0 && leftOthers.length > 0) return undefined;
  // A unit that was renamed keeps most of its locals.
  const removed = new Set(left);
  const added = new Set(leftOthers);
  if (uses !== undefined) {
    for (const [unit, other] of likest(pairing, uses, left, leftOthers, true)) {
      join(unit, other);
      removed.delete(unit);
      added.delete(other);
    }
  }
  return {
    removed: [...removed].map(({ symbol }) => symbol),
    added: [...added].map(({ symbol }) => symbol),
    namesakes,
  };
}

/**
 * Whether units were paired by names alone that contents and users do not pair: of two `core.c` one lost a local to its globals, the other got
 * one, and now the one has the names that the other had. Only those are looked at whose contents differ.
 */
export function areDoubtful(pairing: Pairing, uses: BothUses, { namesakes }: PairedUnits): boolean {
  return namesakes.some(({ orig, patched }) => {
    const differing = orig.filter((unit) => hasOtherContents(pairing, unit));
    if (differing.length === 0) return false;
    const sure = new Map(likest(pairing, uses, orig, patched));
    return differing.some((unit) => sure.get(unit)?.symbol !== pairing.unitTwin[unit.symbol]);
  });
}

/** Units of one set of local names that no other of their build has; and those without any, of which nothing is to be told apart. */
function bySum(units: readonly Unit[], others: readonly Unit[]): Array<[Unit, Unit]> {
  const sums = (list: readonly Unit[]): Map<number, Unit[]> => {
    const found = new Map<number, Unit[]>();
    for (const unit of list) found.set(unit.sum, [...(found.get(unit.sum) ?? []), unit]);
    return found;
  };
  const theirs = sums(others);
  return [...sums(units)].flatMap(([sum, list]): Array<[Unit, Unit]> => {
    const same = theirs.get(sum) ?? [];
    if (sum !== 0) return list.length === 1 && same.length === 1 ? [[list[0]!, same[0]!]] : [];
    return list.slice(0, same.length).map((unit, i) => [unit, same[i]!]);
  });
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
