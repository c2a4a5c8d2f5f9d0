import { STB_LOCAL, STT_FILE } from '../../elf';
import { Trait, type ScanTable } from '../scan';
import type { Pairing } from './pairing';

/**
 * Pairs compilation units by their FILE symbols: name, ordinal among equal names, and the set of their locals.
 *
 * A FILE symbol holds a base name only: `core.c` stands 23 times in one kernel. Ordinals hold as long as no unit was
 * added, removed or moved, so where the sets of local names disagree the most similar unit of the name is taken instead.
 * Units left over are reported, not fatal: their functions are new or removed.
 */
export function pairUnits(pairing: Pairing): { removed: number[]; added: number[] } {
  const { orig, patched } = pairing;
  const origUnits = unitsOf(orig);
  const patchedUnits = unitsOf(patched);
  const removed: number[] = [];
  const added: number[] = [];
  const join = (a: Unit, b: Unit): void => {
    pairing.unitTwin[a.symbol] = b.symbol;
    pairing.unitOrigin[b.symbol] = a.symbol;
  };
  for (const [name, group] of origUnits) {
    const others = patchedUnits.get(name) ?? [];
    patchedUnits.delete(name);
    const rest: Unit[] = [];
    const restOthers = new Set(others);
    // First those whose ordinal and locals agree ...
    group.forEach((unit, ordinal) => {
      const other = others[ordinal];
      if (other !== undefined && group.length === others.length && (group.length === 1 || unit.sum === other.sum)) {
        join(unit, other);
        restOthers.delete(other);
      } else rest.push(unit);
    });
    // ... then by likeness of the locals; equal likeness falls back to the order.
    for (const unit of rest) {
      let best: Unit | undefined;
      let bestLikeness = -1;
      for (const other of restOthers) {
        const likeness = commonLocals(orig, unit, patched, other);
        if (likeness > bestLikeness) [best, bestLikeness] = [other, likeness];
      }
      if (best !== undefined && (bestLikeness > 0 || (unit.last === unit.first && best.last === best.first) || group.length === others.length)) {
        join(unit, best);
        restOthers.delete(best);
      } else removed.push(unit.symbol);
    }
    for (const other of restOthers) added.push(other.symbol);
  }
  for (const group of patchedUnits.values()) for (const unit of group) added.push(unit.symbol);
  return { removed, added };
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
  const names = new Set<number>();
  for (let i = unit.first; i < unit.last; i++) names.add(orig.hash[orig.listed[i]! * 2]!);
  let common = 0;
  for (let i = other.first; i < other.last; i++) if (names.delete(patched.hash[patched.listed[i]! * 2]!)) common++;
  return common;
}
