/** ORIG and PATCHED: every unit that the patch touches compiled twice at one path, what changed linked by owner. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SECTIONS, compileUnit } from './compile';
import { helperFlags } from './helpers';
import { linkUnits } from './objects';
import { parallel } from './parallel';
import type { ChangedFile } from './patch/apply';
import type { UnitObjects } from './set-data';
import type { Unit } from './units';
import type { WorkTree } from './work-tree';

/** The changed units of vmlinux or of one module. What they refer to in others of it, its image tells. */
export interface OwnerPair {
  owner: string;
  units: Unit[];
  orig: string;
  patched: string;
}

export interface BothBuilds {
  pairs: OwnerPair[];
  /** Units whose code stays the same. */
  same: Unit[];
}

export interface BuildSettings {
  jobs: number;
  step: (what: string) => void;
  /** A module's path in the tree, by that of its shipped file: since Linux 7.3 the commands of modules do not say it. */
  shippedAs: (owner: string) => string | undefined;
  /** How many units vmlinux or a module has, where all are to be compiled. */
  sizeOf?: (owner: string) => number;
}

/** So many units are compiled, both times, before the others. */
const FIRST = 8;

/** @throws KlpflowError `compile-failed`, `make-failed`, `interrupted` */
export async function buildBoth(
  work: WorkTree,
  units: readonly Unit[],
  files: readonly ChangedFile[],
  { jobs, step }: BuildSettings,
): Promise<BothBuilds> {
  const key = keyOf(files);
  const shipped = (unit: Unit): string => shippedOf(work, unit);
  const fixed = (unit: Unit): string => fixedOf(work, unit, key);

  /** As shipped first: what the folder's Makefile generates for a unit is made of the kernel's own sources. */
  const compile = async (some: readonly Unit[]): Promise<void> => {
    const missing = (place: (unit: Unit) => string): Unit[] => some.filter((unit) => !existsSync(place(unit)));
    const asShipped = missing(shipped);
    if (asShipped.length > 0) step(`compiling ${count(asShipped.length)} as shipped`);
    await parallel(asShipped, jobs, (unit) => compileUnit(work, unit, shipped(unit)));
    const withPatch = missing(fixed);
    if (withPatch.length === 0) return;
    step(`compiling ${count(withPatch.length)} with the patch`);
    work.swap.put(files);
    try {
      await parallel(withPatch, jobs, (unit) =>
        compileUnit(work, unit, fixed(unit), [...SECTIONS, ...helperFlags(work, unit)]),
      );
    } finally {
      work.swap.takeBack();
    }
  };
  // Of a header's hundreds of units the first few tell whether the patch compiles at all.
  await compile(units.slice(0, FIRST));
  await compile(units.slice(FIRST));

  // Most units that include a patched header do not use what changed there.
  const same = units.filter((unit) => readFileSync(shipped(unit)).equals(readFileSync(fixed(unit))));
  const changed = units.filter((unit) => !same.includes(unit));
  const pairs: OwnerPair[] = [];
  for (const [owner, own] of byOwner(changed)) {
    const folder = join(work.folder, 'pairs', digest([key, own.map(({ object }) => object)]), owner);
    const pair = { owner, units: own, orig: join(folder, 'orig.o'), patched: join(folder, 'patched.o') };
    await linkUnits(work, own, own.map(shipped), pair.orig);
    await linkUnits(work, own, own.map(fixed), pair.patched);
    pairs.push(pair);
  }
  return { pairs, same };
}

/** The objects of units that were compiled with these files. */
export function unitObjects(work: WorkTree, units: readonly Unit[], files: readonly ChangedFile[]): UnitObjects[] {
  const key = keyOf(files);
  return units.map((unit) => ({ unit, orig: shippedOf(work, unit), patched: fixedOf(work, unit, key) }));
}

const keyOf = (files: readonly ChangedFile[]): string => digest(files.map(({ path, patched }) => [path, patched]));
const shippedOf = (work: WorkTree, unit: Unit): string => kept(work, unit, 'orig.o');
const fixedOf = (work: WorkTree, unit: Unit, key: string): string => kept(work, unit, `patched-${key}.o`);

/**
 * ORIG as the kernel's build has it, without a section a function: of some units only this stands in the image as it is.
 * @throws KlpflowError `compile-failed`, `make-failed`, `interrupted`
 */
export async function buildPlain(
  work: WorkTree,
  { owner, units }: OwnerPair,
  { jobs, step }: BuildSettings,
): Promise<string> {
  const at = (unit: Unit): string => kept(work, unit, 'plain.o');
  const missing = units.filter((unit) => !existsSync(at(unit)));
  if (missing.length > 0) step(`compiling ${count(missing.length)} of ${owner} plainly, for the proof`);
  await parallel(missing, jobs, (unit) => compileUnit(work, unit, at(unit), []));
  const out = join(work.folder, 'pairs', digest(units.map(({ object }) => object)), owner, 'plain.o');
  await linkUnits(work, units, units.map(at), out);
  return out;
}

function kept(work: WorkTree, unit: Unit, name: string): string {
  return join(work.folder, 'objects', unit.object.replaceAll('/', '__'), name);
}

/** vmlinux first, as in a list of pairs. */
export function byOwner(units: readonly Unit[]): Array<[string, Unit[]]> {
  const owners = new Map<string, Unit[]>();
  for (const unit of units) {
    const [owner] = unit.owners as [string];
    const own = owners.get(owner);
    if (own === undefined) owners.set(owner, [unit]);
    else own.push(unit);
  }
  return [...owners].sort(([a], [b]) => Number(b === 'vmlinux') - Number(a === 'vmlinux') || (a < b ? -1 : 1));
}

export function digest(what: unknown): string {
  return createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 24);
}

function count(units: number): string {
  return units === 1 ? 'one unit' : `${units} units`;
}
