import { closeSync, constants as files, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { constants } from 'node:buffer';
import { KlpflowError, fileError, notRegular } from '../diagnostics';

/** Of /dev/null on Linux: major 1, minor 3. It stands for an empty file. */
const NULL_DEVICE = 0x103;

/**
 * A whole regular file; also one of /proc or sysfs, which has no size and may not be mapped. Nothing that waits or never ends:
 * a thread that sits in a pipe without a writer, or reads /dev/zero, cannot be told to stop.
 * @throws KlpflowError `unreadable`, `not-regular-file`, `input-too-large`
 */
export function readWhole(path: string): Buffer {
  return readUpTo(path, Infinity);
}

/** As `readWhole`, a text. */
export function readText(path: string): string {
  return readUpTo(path, constants.MAX_STRING_LENGTH).toString('utf8');
}

function readUpTo(path: string, most: number): Buffer {
  let fd: number | undefined;
  try {
    // O_NONBLOCK: opening a pipe must not wait for a writer.
    fd = openSync(path, files.O_RDONLY | files.O_NONBLOCK);
    const stats = fstatSync(fd);
    if (isNull(stats)) return Buffer.alloc(0);
    if (!stats.isFile()) throw notRegular(path);
    if (stats.size > most)
      throw new KlpflowError('input-too-large', `${path} has ${stats.size} bytes; a text has at most ${most}`, {
        object: path,
      });
    return readFileSync(fd);
  } catch (cause) {
    throw fileError(path, cause, 'read');
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function isNull(stats: Stats): boolean {
  return stats.isCharacterDevice() && stats.rdev === NULL_DEVICE;
}
