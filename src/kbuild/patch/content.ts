import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileError } from '../../diagnostics';

/** A tree's file as Latin-1, so that every byte stays itself; null where there is none. Links that lead out of the tree are none. @throws KlpflowError `unreadable` */
export function contentOf(tree: string, path: string): string | null {
  let fd: number | undefined;
  try {
    const real = realpathSync(join(tree, path));
    if (!real.startsWith(realpathSync(tree) + sep)) return null;
    fd = openSync(real, constants.O_RDONLY | constants.O_NONBLOCK);
    return fstatSync(fd).isFile() ? readFileSync(fd, 'latin1') : null;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw fileError(join(tree, path), cause, 'read');
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
