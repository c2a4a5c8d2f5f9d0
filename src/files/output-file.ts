import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileError } from '../diagnostics';

let serial = 0;

/** A name beside `path` for what is not whole yet; `removeAbandonedOutputs` knows it. */
export function temporaryOutput(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.${serial++}.tmp`);
}

/**
 * Writes `chunks` to `path` so that the file is either whole or not there: into a temporary file of the same
 * folder, which is synced and then renamed over `path`. On any failure the temporary file is removed and an
 * earlier file at `path` is untouched.
 *
 * A chunk may be reused by its producer: it is written completely before the next one is asked for.
 * @returns the number of bytes written
 * @throws KlpflowError `no-space` or `write-failed` for what the file system reports; the producer's own errors as they are
 */
export async function writeAtomically(path: string, chunks: Iterable<Uint8Array>): Promise<number> {
  const written = await writeOneOfMany(path, chunks);
  await syncFolder(dirname(path));
  await removeAbandonedOutputs(path);
  return written;
}

/**
 * As `writeAtomically`, for a folder that gets thousands of files: that the folder is synced, and cleared of what killed writers left, is for
 * `finishFolder`. To list the folder for each of its files takes the square of their number.
 */
export async function writeOneOfMany(path: string, chunks: Iterable<Uint8Array>): Promise<number> {
  const temporary = temporaryOutput(path);
  const file = await open(temporary, 'wx').catch((cause: unknown) => {
    throw fileError(path, cause, 'write');
  });
  let written = 0;
  try {
    for (const chunk of chunks) {
      await writeAll(file, chunk);
      written += chunk.length;
    }
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (cause) {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw isSystemError(cause) ? fileError(path, cause, 'write') : cause;
  }
  return written;
}

/** After the last of many files. */
export async function finishFolder(folder: string): Promise<void> {
  await syncFolder(folder);
  await removeAbandoned(folder, (name) => /^\..+\.\d+\.\d+\.tmp$/.test(name));
}

/** Other machines may write here, too, and their process numbers mean nothing: a file this old is nobody's. */
const ABANDONED_MS = 3_600_000;

/** Removes what writers of `path`, a file or a folder, that were killed left behind. */
export async function removeAbandonedOutputs(path: string): Promise<void> {
  const mine = `.${basename(path)}.`;
  await removeAbandoned(
    dirname(path),
    (name) => name.startsWith(mine) && /^\d+\.\d+\.tmp$/.test(name.slice(mine.length)),
  );
}

async function removeAbandoned(folder: string, isOne: (name: string) => boolean): Promise<void> {
  try {
    for (const name of await readdir(folder)) {
      if (!isOne(name)) continue;
      const left = join(folder, name);
      if (Date.now() - (await stat(left)).mtimeMs > ABANDONED_MS) await rm(left, { force: true, recursive: true });
    }
  } catch {
    // Nobody reads such files: a folder that keeps them is none the worse.
  }
}

/** One write may be cut short by a full disk or a signal; the rest follows in the next. */
async function writeAll(file: Awaited<ReturnType<typeof open>>, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await file.write(chunk, done, chunk.length - done);
    done += bytesWritten;
  }
}

/** Makes the rename itself durable. Some file systems refuse to sync a folder; the file's content is safe anyway. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  } catch {
    return;
  }
}

export function isSystemError(cause: unknown): boolean {
  return cause instanceof Error && typeof (cause as NodeJS.ErrnoException).syscall === 'string';
}
