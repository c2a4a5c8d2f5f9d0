import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { runtimeName } from '../kernel/symvers';

/** What a module's file may end in. */
export const MODULE_FILE = /\.ko(\.(gz|xz|zst|bz2|lzma))?$/;

/**
 * The file of a module in the folder of the image's release: `/boot/vmlinuz-R` has its modules in `/lib/modules/R` (`/usr/lib/modules/R` where /lib is
 * no link), `/usr/lib/modules/R/vmlinuz` beside itself. Undefined where there is no such folder, or none or several files of that name.
 */
export function moduleBeside(image: string, name: string): string | undefined {
  const folder = dirname(resolve(image));
  const release = /^[A-Za-z]+-(.+)$/.exec(basename(image))?.[1];
  const folders =
    basename(dirname(folder)) === 'modules'
      ? [folder]
      : release === undefined
        ? []
        : ['lib', 'usr/lib'].map((lib) => join(dirname(folder), lib, 'modules', release));
  const root = folders.find((one) => existsSync(one));
  return root === undefined ? undefined : moduleBelow(root, name);
}

/** The file of a module somewhere below a folder; undefined where there is none, or several of that name. */
export function moduleBelow(folder: string, name: string): string | undefined {
  const found: string[] = [];
  // Links lead to the sources (`build`).
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile() && MODULE_FILE.test(entry.name) && runtimeName(entry.name) === name)
      found.push(join(entry.parentPath ?? entry.path, entry.name));
  return found.length === 1 ? found[0] : undefined;
}
