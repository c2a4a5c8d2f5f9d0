import { chmod, stat } from 'node:fs/promises';
import { ElfObject } from '../../elf';
import { writeAtomically } from '../../files/output-file';
import { postLink } from './post-link';

/**
 * Finishes a module that klp-build linked, in place: afterwards the file is the finished module, or as it was.
 * A file without anything to finish is left alone.
 * @throws KlpflowError as `postLink`; for files that cannot be read or written
 */
export async function postLinkModule(path: string): Promise<void> {
  const pieces = postLink(ElfObject.open(path));
  if (pieces === undefined) return;
  const { mode } = await stat(path);
  await writeAtomically(path, pieces);
  await chmod(path, mode);
}
