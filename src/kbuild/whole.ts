/** ORIG and PATCHED in scope `whole`: vmlinux.o and the modules that the patch touches, by the kernel's own make, at one path. No image is linked. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KlpflowError } from '../diagnostics';
import { byOwner, digest, type BothBuilds, type BuildSettings, type OwnerPair } from './both-builds';
import { SECTIONS } from './compile';
import { KeptObjects, removeLeft } from './kept-objects';
import type { ChangedFile } from './patch/apply';
import { unlessKilled } from './unfinished';
import type { Unit } from './units';
import type { WorkTree } from './work-tree';

/** For make: as klp-build has them, so that a tree which that built can be taken over. */
export function wholeVariables(chosen: readonly string[]): string[] {
  const own = chosen.find((variable) => variable.startsWith('KCFLAGS='))?.slice('KCFLAGS='.length);
  const others = chosen.filter((variable) => !variable.startsWith('KCFLAGS='));
  return [...others, `KCFLAGS=${[...(own === undefined ? [] : [own]), ...SECTIONS].join(' ')}`];
}

/** What make is asked for, and the file that it makes: of vmlinux, or of one module. */
interface Target {
  owner: string;
  make: string;
  file: string;
}

/** @throws KlpflowError `make-failed`, `interrupted` */
export async function buildWhole(
  work: WorkTree,
  units: readonly Unit[],
  files: readonly ChangedFile[],
  { jobs, step, shippedAs, sizeOf }: BuildSettings,
): Promise<BothBuilds> {
  const owners = byOwner(units);
  const targets = owners.map(([owner, own]) => targetOf(owner, own, shippedAs));
  const key = digest(files.map(({ path, patched }) => [path, patched]));
  const shipped = (owner: string): string => join(work.folder, 'whole', 'orig', `${owner}.o`);
  const fixed = (owner: string): string => join(work.folder, 'whole', `patched-${key}`, `${owner}.o`);
  const unitsSame = join(work.folder, 'whole', `patched-${key}`, 'same.json');

  removeLeft(work);
  const missing = targets.filter(({ owner }) => !existsSync(shipped(owner)));
  if (missing.length > 0) {
    const count = missing.reduce((sum, { owner }) => sum + (sizeOf?.(owner) ?? 0), 0);
    step(`building ${namesOf(missing)} as shipped${sizeOf === undefined ? '' : `: ${costOf(count, jobs)}`}`);
    await make(work, missing, jobs, 'orig', shipped);
  }
  let same = new Set<string>();
  if (targets.every(({ owner }) => existsSync(fixed(owner))) && existsSync(unitsSame))
    same = new Set(JSON.parse(readFileSync(unitsSame, 'utf8')) as string[]);
  else {
    step(`building ${namesOf(targets)} with the patch`);
    const kept = new KeptObjects(work, units);
    work.swap.put(files);
    try {
      await make(work, targets, jobs, 'patched', fixed);
      same = new Set(units.filter((unit) => kept.same(unit)).map(({ source }) => source));
      work.keep(unitsSame, JSON.stringify([...same]));
    } finally {
      work.swap.takeBack();
      kept.putBack();
    }
  }
  const pairs = owners.flatMap(([owner, own]): OwnerPair[] => {
    const [orig, patched] = [shipped(owner), fixed(owner)];
    if (readFileSync(orig).equals(readFileSync(patched))) return [];
    return [{ owner, units: own.filter(({ source }) => !same.has(source)), orig, patched }];
  });
  const changed = new Set(pairs.flatMap((pair) => pair.units));
  return { pairs, same: units.filter((unit) => !changed.has(unit)) };
}

/** One make for all, and what it made put where it is kept. */
async function make(
  work: WorkTree,
  targets: readonly Target[],
  jobs: number,
  log: string,
  to: (owner: string) => string,
): Promise<void> {
  // vmlinux.o is no target of its own kind, and a module's object is: make takes those one after the other in any case.
  const [kernel, modules] = [true, false].map((is) => targets.filter(({ owner }) => (owner === 'vmlinux') === is));
  await unlessKilled(work, async () => {
    for (const some of [kernel!, modules!])
      if (some.length > 0) await work.make([`-j${jobs}`, ...some.map((target) => target.make)], log);
  });
  for (const { owner, file } of targets) {
    const [made, kept] = [join(work.tree, file), to(owner)];
    mkdirSync(dirname(kept), { recursive: true });
    // Of a distribution's kernel vmlinux.o takes a gigabyte, and the next build links another.
    if (owner === 'vmlinux') renameSync(made, kept);
    else {
      copyFileSync(made, `${kept}.new`);
      renameSync(`${kept}.new`, kept);
    }
  }
}

function targetOf(owner: string, [unit]: readonly Unit[], shipped: (owner: string) => string | undefined): Target {
  if (owner === 'vmlinux') return { owner, make: 'vmlinux_o', file: 'vmlinux.o' };
  const word = unit!.compile.find((one) => one.startsWith('-DKBUILD_MODFILE='));
  const path = word?.slice('-DKBUILD_MODFILE='.length).replaceAll('"', '') ?? shipped(owner);
  if (path === undefined)
    throw new KlpflowError('make-failed', `${unit!.source}: its command does not say which module it is linked into`);
  return { owner, make: `${path}.o`, file: `${path}.o` };
}

/** Seconds of a core: Debian's 6.12 takes some 40 minutes of two for the 2,900 units of its vmlinux.o. */
const SECONDS_A_UNIT = 1.6;

/** What someone who waits wants to know; it is right within a factor of two. */
function costOf(units: number, jobs: number): string {
  const minutes = Math.ceil((units * SECONDS_A_UNIT) / jobs / 60);
  return `${units} units, about ${minutes === 1 ? 'a minute' : `${minutes} minutes`} with ${jobs} at a time; later patches find it done`;
}

function namesOf(targets: readonly Target[]): string {
  const names = targets.map(({ file }) => file);
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
}
