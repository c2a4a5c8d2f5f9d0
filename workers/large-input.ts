import { existsSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileError } from '../src/diagnostics';
import { copyLoaded } from '../src/elf';
import { LARGEST_MAP, MappedFile } from '../src/files/mapped-file';
import { contentDigest, makeFolder } from '../src/records';
import { temporaryIn } from '../src/files/temporary';

/**
 * Makes the copy of an input that is too large to be mapped, unless it is there: then its content must have the digest that
 * was recorded, for a copy that was damaged would be read as another kernel.
 * @throws KlpflowError as `copyLoaded`, and `no-space`, `write-failed`
 */
export function makeCopy(source: string, copy: string, scratch: string, digest: string | undefined): void {
  if (digest !== undefined && existsSync(copy) && contentDigest(MappedFile.open(copy).bytes) === digest) return;
  const temporary = temporaryIn(scratch, basename(copy));
  try {
    makeFolder(dirname(copy));
    makeFolder(scratch);
    copyLoaded(source, temporary, LARGEST_MAP);
    renameSync(temporary, copy);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw (cause as NodeJS.ErrnoException).syscall === undefined ? cause : fileError(copy, cause, 'write');
  }
}
