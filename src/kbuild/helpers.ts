/** What a patch may ask of the livepatch core beyond redirected functions: linux/livepatch_helpers.h, of the tree's own (6.19 on) or klpflow's. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Unit } from './units';
import type { WorkTree } from './work-tree';

const HELPERS = 'include/linux/livepatch_helpers.h';

/** Flags for a patched unit. A tree that has the header says itself which object a unit is of. */
export function helperFlags({ tree }: Pick<WorkTree, 'tree'>, { owners }: Unit): string[] {
  // Behind the tree's own folders, whose headers come first.
  const include = `-I${join(packageRoot(), 'include')}`;
  return existsSync(join(tree, HELPERS)) ? [include] : [include, `-DKLP_OBJNAME=${owners[0]}`];
}

/** The package's folder, from its bundle and from its sources. */
function packageRoot(): string {
  let folder = __dirname;
  while (!existsSync(join(folder, HELPERS)) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}
