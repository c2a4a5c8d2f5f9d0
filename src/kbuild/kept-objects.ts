/**
 * Objects of ORIG in a tree that make has built, over the time in which the patch is in: kept aside, and put back as newer than every source, so that the
 * next patch compiles what it touches and not what this one did.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Unit } from './units';
import type { WorkTree } from './work-tree';

export class KeptObjects {
  private readonly folder: string;

  constructor(
    private readonly work: WorkTree,
    private readonly units: readonly Unit[],
  ) {
    this.folder = join(work.folder, 'whole', 'kept');
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
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
        if (!existsSync(this.at(i, j))) return;
        copyFileSync(this.at(i, j), join(this.work.tree, path));
        utimesSync(join(this.work.tree, path), now, now);
      }),
    );
    rmSync(this.folder, { recursive: true, force: true });
  }

  private at(unit: number, file: number): string {
    return join(this.folder, `${unit}.${file}`);
  }
}

/** The object, and the file in which kbuild keeps the command that made it. */
function filesOf({ object }: Unit): string[] {
  return [object, join(dirname(object), `.${basename(object)}.cmd`)];
}
