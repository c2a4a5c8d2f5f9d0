/**
 * Objects of ORIG in a tree that make has built, over the time in which the patch is in: kept aside, and put back as newer than every source, so that the
 * next patch compiles what it touches and not what this one did.
 *
 * A run that is killed meanwhile leaves PATCHED's objects in the tree. Taken for ORIG's and made newer than the sources, they would bring its patch into all later
 * ones; so those that it may have compiled are listed before the patch goes in, and removed by the next run.
 */
import { copyFileSync, existsSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Unit } from './units';
import type { WorkTree } from './work-tree';

export class KeptObjects {
  private readonly folder: string;

  constructor(
    private readonly work: WorkTree,
    private readonly units: readonly Unit[],
  ) {
    this.folder = folderOf(work);
    removeLeft(work);
    work.keep(join(this.folder, LIST), JSON.stringify(units.flatMap(filesOf)));
    units.forEach((unit, i) =>
      filesOf(unit).forEach((path, j) => {
        // Compilers and objtool write into a file that is there: a link would show what they do.
        if (existsSync(join(work.tree, path))) copyFileSync(join(work.tree, path), this.at(i, j));
      }),
    );
  }

  /** Whether make has compiled the same as before. */
  same(unit: Unit): boolean {
    const i = this.units.indexOf(unit);
    const built = join(this.work.tree, unit.object);
    return existsSync(built) && existsSync(this.at(i, 0)) && readFileSync(built).equals(readFileSync(this.at(i, 0)));
  }

  /** When the sources are those of ORIG again. */
  putBack(): void {
    const now = new Date();
    this.units.forEach((unit, i) =>
      filesOf(unit).forEach((path, j) => {
        const at = join(this.work.tree, path);
        if (!existsSync(this.at(i, j))) return rmSync(at, { force: true });
        copyFileSync(this.at(i, j), at);
        utimesSync(at, now, now);
      }),
    );
    rmSync(this.folder, { recursive: true, force: true });
  }

  private at(unit: number, file: number): string {
    return join(this.folder, `${unit}.${file}`);
  }
}

/** The files in the tree that are kept. */
const LIST = 'files.json';

const folderOf = (work: WorkTree): string => join(work.folder, 'whole', 'kept');

/** What a run that was killed with its patch in may have compiled: make does it again. */
export function removeLeft(work: WorkTree): void {
  const list = join(folderOf(work), LIST);
  if (existsSync(list))
    for (const path of JSON.parse(readFileSync(list, 'utf8')) as string[])
      rmSync(join(work.tree, path), { force: true });
  rmSync(folderOf(work), { recursive: true, force: true });
}

/** The object, and the file in which kbuild keeps the command that made it. */
function filesOf({ object }: Unit): string[] {
  return [object, join(dirname(object), `.${basename(object)}.cmd`)];
}
