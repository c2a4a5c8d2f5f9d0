import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
  statfsSync,
  type Stats,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { KlpflowError, cannotWrite, inputChanged } from '../diagnostics';
import { fileIdentity, sameIdentity } from '../files/mapped-file';
import type { InputFile } from './types';

/** A file as it is now. @throws KlpflowError `unreadable` */
export function inputFile(path: string): InputFile {
  return { path, identity: fileIdentity(path) };
}

/** The first bytes of a file; none of one that cannot be read, which is told by whoever reads all of it, and of a pipe, which gives each byte once. */
export function headOf(path: string, length: number): Uint8Array {
  const head = new Uint8Array(length);
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return head.subarray(0, fstatSync(fd).isFile() ? readSync(fd, head, 0, length, 0) : 0);
  } catch {
    return head.subarray(0, 0);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** PROC_SUPER_MAGIC and SYSFS_MAGIC: their files get new times whenever the kernel forgets them. */
const KERNEL_FILES: ReadonlySet<number> = new Set([0x9fa0, 0x62656572]);

/** The files that were given, as they are now; those of /proc and sysfs do not change. @throws KlpflowError `unreadable` */
export function inputFiles(paths: ReadonlyArray<string | undefined>): InputFile[] {
  return watched(paths.map((path) => (path === undefined ? null : inputFile(path))));
}

/** Those of some files whose change can be seen. */
export function watched(files: ReadonlyArray<InputFile | null>): InputFile[] {
  return files.filter((file) => file !== null && !KERNEL_FILES.has(statfsSync(file.path).type)) as InputFile[];
}

/** @throws KlpflowError `input-changed`, `unreadable` */
export function checkUnchanged(inputs: readonly InputFile[]): void {
  for (const { path, identity } of inputs) {
    if (!sameIdentity(fileIdentity(path), identity)) throw inputChanged(path);
  }
}

/** Whether a folder, by its real path, is the kernel's and not a disk's. */
export function holdsDevices(folder: string): boolean {
  return /^\/(dev|proc|sys)(\/|$)/.test(folder) && !/^\/dev\/shm(\/|$)/.test(folder);
}

/**
 * Whether an output can be written, before any work: its folder is there, and what it would replace is a regular file and no input.
 * @throws KlpflowError `usage` for an input, `write-failed`
 */
export function checkOutput(path: string, inputs: ReadonlyArray<string | undefined>): void {
  const refuse = (why: string): never => {
    throw cannotWrite(path, why);
  };
  const folder = dirname(resolve(path));
  if (!existsSync(folder)) refuse('there is no such folder');
  if (!statSync(folder).isDirectory()) refuse('part of the path is not a directory');
  // As root, /dev/stdout itself would be replaced: a file is written beside its name first.
  if (holdsDevices(realpathSync(folder))) refuse('that is no place for files');
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isFile()) refuse('it is not a regular file');
  checkNoInput(path, inputs);
}

/** Whether a path leads to a folder; one that leads nowhere is told by whoever reads it. */
export function leadsToFolder(path: string): boolean {
  return reached(path)?.isDirectory() === true;
}

/** What a path leads to; undefined for nothing, and for what cannot be reached: a link to itself, a path through a file. */
function reached(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** @throws KlpflowError `usage` for an output that is one of the inputs, whatever it is called there */
export function checkNoInput(path: string, inputs: ReadonlyArray<string | undefined>): void {
  const stats = reached(path);
  if (stats === undefined) return;
  for (const input of inputs) {
    const other = input === undefined ? undefined : reached(input);
    if (other?.dev === stats.dev && other.ino === stats.ino)
      throw new KlpflowError('usage', `${path} is ${input}: the output may not replace an input`);
  }
}
