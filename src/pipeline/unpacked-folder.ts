import { join, resolve } from 'node:path';
import { contentDigest, keepLinks, loadHash } from '../records';
import { leadsToFolder } from './files';
import { markUsed } from './prune';
import { RunDir } from './run-dir';
import { filesBelow } from './tree-files';
import { unpackedFile } from './unpacked-file';

/** An object that was compressed: `core.o.zst`, ThinLTO's `vmlinux.o.thinlto.o12.gz`. */
const PACKED = /\.o\d*\.(?:gz|xz|zst)$/;

/**
 * A folder that holds compressed objects, as one of links to what they hold and to all else that is there, under the names that they had before. Undefined for a folder
 * without, and for what is none. A run sees the links alone: which of them are objects, linked ones or units, and each other's pairs is decided as in any folder.
 * @throws KlpflowError as `unpackedFile`, and `unreadable`
 */
async function unpackedFolder(runDir: string, root: string, fresh: boolean): Promise<string | undefined> {
  if (!leadsToFolder(root)) return undefined;
  const files = filesBelow(root);
  if (!files.some(({ name }) => PACKED.test(name))) return undefined;
  const links = new Map<string, string>();
  for (const { path, name } of files) {
    const plain = PACKED.test(name) ? await unpackedFile(runDir, path, fresh) : undefined;
    const shown = plain === undefined ? name : name.replace(/\.\w+$/, '');
    // `xz -k` leaves both: then what is not compressed is the object.
    if (plain === undefined || !links.has(shown)) links.set(shown, plain ?? resolve(path));
  }
  const { kernels, scratch } = RunDir.open(runDir, fresh);
  await loadHash();
  const all = [...links].sort(([a], [b]) => (a < b ? -1 : 1));
  const folder = keepLinks(join(kernels, contentDigest(Buffer.from(JSON.stringify(all)))), all, scratch);
  markUsed(folder);
  return folder;
}

/** What unpacks into one run directory: to the path of what a compressed file holds, or of a folder that shows it; to undefined where nothing is compressed. */
export const unpackedInto = (runDir: string, fresh = false) => ({
  file: (path: string): Promise<string | undefined> => unpackedFile(runDir, path, fresh),
  folder: (path: string): Promise<string | undefined> => unpackedFolder(runDir, path, fresh),
});
