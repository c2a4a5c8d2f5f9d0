/** Files of the run directory that were made from an input. */
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileError } from '../diagnostics';
import { MappedFile } from '../files/mapped-file';
import { temporaryIn } from '../files/temporary';
import { makeFolder } from './file';
import { contentDigest } from './hash';

/** A file of the run directory that was made from an input. */
export interface KeptFile {
  path: string;
  size: number;
  digest: string;
}

/** Writes a file, unless it is there as it should be. @throws KlpflowError `no-space`, `write-failed` */
export function writeKept(path: string, bytes: Uint8Array, scratch: string): KeptFile {
  const kept = { path, size: bytes.length, digest: contentDigest(bytes) };
  if (existsSync(path) && contentDigest(MappedFile.open(path).bytes) === kept.digest) return kept;
  const temporary = temporaryIn(scratch, path.slice(path.lastIndexOf('/') + 1));
  try {
    makeFolder(dirname(path));
    makeFolder(scratch);
    writeFileSync(temporary, bytes);
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw fileError(path, cause, 'write');
  }
  return kept;
}

/** Makes a folder of links by their names in it, unless it is there: its name vouches for what is in it. @throws KlpflowError `no-space`, `write-failed` */
export function keepLinks(folder: string, links: ReadonlyArray<[name: string, to: string]>, scratch: string): string {
  if (existsSync(folder)) return folder;
  const temporary = temporaryIn(scratch, basename(folder));
  try {
    makeFolder(dirname(folder));
    makeFolder(temporary);
    for (const [name, to] of links) {
      mkdirSync(dirname(join(temporary, name)), { recursive: true });
      symlinkSync(to, join(temporary, name));
    }
    renameSync(temporary, folder);
  } catch (cause) {
    rmSync(temporary, { force: true, recursive: true });
    // Another run made the same.
    if (!existsSync(folder)) throw fileError(folder, cause, 'write');
  }
  return folder;
}
