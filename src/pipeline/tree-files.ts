import { closeSync, openSync, readSync, readdirSync, statSync, type Dirent } from 'node:fs';
import { join, relative } from 'node:path';
import { fileError } from '../diagnostics';

/** Files of a folder that may be compared, by their paths in it, and those that look like objects and are none. */
export interface TreeFiles {
  objects: string[];
  /** Bitcode, archives, text under the name of an object: nothing to compare. */
  skipped: string[];
}

/** First bytes of an ELF file up to e_type. */
const HEAD = 18;
const ET_REL = 1;

/** Whether a path is a folder. @throws KlpflowError `unreadable` */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw fileError(path, cause, 'read');
  }
}

/**
 * The relocatable objects below a folder, in order of their paths: `fs/proc/meminfo.o`, `vmlinux.o.thinlto.o12`. Told by content,
 * for partitions of ThinLTO have names of their own. Left out are finished modules (`.ko`) and what builds leave hidden.
 * @throws KlpflowError `unreadable`
 */
export function treeFiles(root: string): TreeFiles {
  const found: TreeFiles = { objects: [], skipped: [] };
  for (const { path, name, entry } of filesBelow(root)) {
    if (entry.name.endsWith('.ko') || name.split('/').some((part) => part.startsWith('.'))) continue;
    const named = /\.o\d*$/.test(entry.name);
    const kind = kindOf(path, named);
    if (kind === 'object') found.objects.push(name);
    else if (kind === 'other' && named) found.skipped.push(name);
  }
  found.objects.sort();
  found.skipped.sort();
  return found;
}

/** Files below a folder, links to files among them: a folder of links is what was gathered of a build. @throws KlpflowError `unreadable` */
export function filesBelow(root: string): Array<{ path: string /** In the folder. */; name: string; entry: Dirent }> {
  try {
    return readdirSync(root, { recursive: true, withFileTypes: true }).flatMap((entry) => {
      const path = join(entry.parentPath ?? entry.path, entry.name);
      return entry.isFile() || (entry.isSymbolicLink() && leadsToFile(path))
        ? [{ path, name: relative(root, path), entry }]
        : [];
    });
  } catch (cause) {
    throw fileError(root, cause, 'read');
  }
}

/** A link to nothing, or to itself, is no file. */
function leadsToFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function kindOf(path: string, named: boolean): 'object' | 'other' {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    if (named) throw fileError(path, cause, 'read');
    return 'other';
  }
  try {
    const head = Buffer.alloc(HEAD);
    if (readSync(fd, head, 0, HEAD, 0) < HEAD || head.readUInt32BE(0) !== 0x7f454c46) return 'other';
    return (head[5] === 1 ? head.readUInt16LE(16) : head.readUInt16BE(16)) === ET_REL ? 'object' : 'other';
  } finally {
    closeSync(fd);
  }
}
