import type { UnitNames } from '../stages/unit-names';

/** A group larger than this is paired by path alone: comparing each with each would take its square. */
const LARGEST_GROUP = 1000;

export interface PairedNames {
  /** [ORIG's name, PATCHED's name]. */
  pairs: Array<[string, string]>;
  removed: string[];
  added: string[];
}

/**
 * Which file of one folder is which of the other. ThinLTO numbers partitions by the order of its inputs, so a unit more shifts all
 * that follow, and `core.c` is a unit 23 times: of the files with the same units those pair that have most globals in common, and
 * of equals those of one path. Files that share nothing pair only where there is no other choice.
 */
export function pairByNames(
  orig: ReadonlyMap<string, UnitNames>,
  patched: ReadonlyMap<string, UnitNames>,
): PairedNames {
  const pairs: PairedNames['pairs'] = [];
  const ours = new Map(orig);
  const theirs = new Map(patched);
  const pair = (name: string, other: string): void => {
    pairs.push([name, other]);
    ours.delete(name);
    theirs.delete(other);
  };
  const groups = byUnits(orig);
  const others = byUnits(patched);
  for (const [units, names] of groups) {
    const candidates = others.get(units) ?? [];
    if (names.length === 1 && candidates.length === 1) {
      pair(names[0]!, candidates[0]!);
      continue;
    }
    const large = Math.max(names.length, candidates.length) > LARGEST_GROUP;
    const known = new Set(candidates);
    const likeness = large
      ? names.filter((name) => known.has(name)).map((name) => ({ name, other: name }))
      : likenesses(names, orig, candidates, patched);
    for (const { name, other } of likeness) if (ours.has(name) && theirs.has(other)) pair(name, other);
  }
  return { pairs, removed: [...ours.keys()], added: [...theirs.keys()] };
}

function byUnits(files: ReadonlyMap<string, UnitNames>): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const [name, { units }] of files) {
    const group = groups.get(units);
    if (group === undefined) groups.set(units, [name]);
    else group.push(name);
  }
  return groups;
}

/** Pairs with something in common, likest first. */
function likenesses(
  names: readonly string[],
  orig: ReadonlyMap<string, UnitNames>,
  others: readonly string[],
  patched: ReadonlyMap<string, UnitNames>,
): Array<{ name: string; other: string; common: number }> {
  const found: Array<{ name: string; other: string; common: number }> = [];
  for (const name of names) {
    const own = new Set(orig.get(name)!.globals);
    for (const other of others) {
      const common = patched.get(other)!.globals.filter((global) => own.has(global)).length;
      if (common > 0 || name === other) found.push({ name, other, common });
    }
  }
  return found.sort((a, b) => b.common - a.common || Number(b.name === b.other) - Number(a.name === a.other));
}
