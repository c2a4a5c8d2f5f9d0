import { constants } from 'node:fs';
import { chmod, copyFile, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { fileError, inputChanged } from '../diagnostics';
import { fileIdentity, sameIdentity, type MappedFile } from './mapped-file';
import { isSystemError, removeAbandonedOutputs, temporaryOutput } from './output-file';

/** Another header, the file's own bytes behind it up to `kept`, then `rest`. */
interface Change {
  header: Uint8Array;
  kept: number;
  rest: readonly Uint8Array[];
}

const OWNER_WRITES = 0o200;

/**
 * Changes a file's beginning and end, so that it is either as it was or whole: in a copy beside it, which is then renamed over it. The kernel
 * makes the copy, without its bytes going through this process and on file systems that can share them in no time, while `make` says what is to
 * change. It is not synced: what is changed in place belongs to a build, which a crash of the machine ends, too.
 * @throws KlpflowError `no-space`, `write-failed`, `input-changed`; what `make` throws
 */
export async function changeAtomically({ path, identity }: MappedFile, make: () => Promise<Change>): Promise<void> {
  const temporary = temporaryOutput(path);
  const copied = copyFile(path, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  // Whoever waits for it is told.
  copied.catch(() => undefined);
  let file: FileHandle | undefined;
  try {
    const { header, kept, rest } = await make();
    await copied;
    if (!sameIdentity(fileIdentity(path), identity)) throw inputChanged(path);
    const { mode } = await stat(temporary);
    // A file that may only be read is replaced all the same.
    if ((mode & OWNER_WRITES) === 0) await chmod(temporary, mode | OWNER_WRITES);
    file = await open(temporary, 'r+');
    await file.truncate(kept);
    await writeAt(file, header, 0);
    let at = kept;
    for (const piece of rest) {
      await writeAt(file, piece, at);
      at += piece.length;
    }
    await file.chmod(mode);
    await file.close();
    await rename(temporary, path);
  } catch (cause) {
    // Not before the copy is made, or it would come after.
    await copied.catch(() => undefined);
    await file?.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw isSystemError(cause) ? fileError(path, cause, 'write') : cause;
  }
  await removeAbandonedOutputs(path);
}

/** One write may be cut short by a full disk or a signal; the rest follows in the next. */
async function writeAt(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}
