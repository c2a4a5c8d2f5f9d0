import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { KlpflowError, fileError } from '../diagnostics';

/** A whole regular file; also one of /proc or sysfs, which has no size and may not be mapped. @throws KlpflowError `unreadable`, `not-regular-file` */
export function readWhole(path: string): Buffer {
  let fd: number | undefined;
  try {
    // O_NONBLOCK: opening a pipe must not wait for a writer.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFile()) throw new KlpflowError('not-regular-file', `${path} is not a regular file`, { object: path });
    return readFileSync(fd);
  } catch (cause) {
    throw fileError(path, cause, 'read');
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
