/**
 * What a make that was killed leaves: kbuild writes the command of an object behind the object itself, so that an object without one, or with one that is
 * older, may be half written. Make would take it for done.
 */
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { succeed } from './command';
import type { WorkTree } from './work-tree';

/** Runs make's part of a build, between whose marks anything may be half written. */
export async function unlessKilled(work: WorkTree, make: () => Promise<unknown>): Promise<void> {
  const mark = join(work.folder, 'making');
  if (existsSync(mark)) await removeUnfinished(work, mark);
  else writeFileSync(mark, '');
  await make();
  rmSync(mark, { force: true });
}

async function removeUnfinished(work: WorkTree, mark: string): Promise<void> {
  const args = [work.tree, '-newer', mark, '-name', '*.o', '-printf', '%P\n'];
  const { stdout } = await succeed({ program: 'find', args, cwd: work.tree, signal: work.signal }, 'find');
  for (const path of stdout.split('\n').filter(Boolean)) {
    const object = join(work.tree, path);
    const command = statSync(join(dirname(object), `.${basename(object)}.cmd`), { throwIfNoEntry: false });
    if (command === undefined || command.mtimeMs < statSync(object).mtimeMs) rmSync(object, { force: true });
  }
}
