import { closeSync, constants, fstatSync, openSync, statSync, type BigIntStats } from 'node:fs';
import { fileError, KlpflowError, notRegular } from '../diagnostics';
import { mmap } from './mmap';

/** What tells two states of a file apart without reading it. Times are nanoseconds since the epoch. */
export interface FileIdentity {
  device: string;
  inode: string;
  size: number;
  mtimeNs: string;
  ctimeNs: string;
}

/** mmap-io passes size and offset as a C int, so one mapping ends at 2 GiB. */
export const LARGEST_MAP = 0x7fffffff;

/**
 * A file mapped read-only. Every thread maps the file itself: the page cache holds the bytes once, and no
 * buffer crosses a thread. The mapping goes away with the last view on it.
 */
export class MappedFile {
  private constructor(
    readonly path: string,
    readonly identity: FileIdentity,
    readonly bytes: Uint8Array,
  ) {}

  /** A file that this process made and holds in memory; `path` is what messages call it. */
  static ofBytes(bytes: Uint8Array, path: string): MappedFile {
    return new MappedFile(path, { device: '', inode: '', size: bytes.length, mtimeNs: '', ctimeNs: '' }, bytes);
  }

  /** `calledPath` is what messages call the file. @throws KlpflowError `unreadable`, `not-regular-file`, `not-elf` (empty file), `input-too-large` */
  static open(path: string, calledPath = path): MappedFile {
    let fd: number;
    try {
      // O_NONBLOCK: opening a pipe must not wait for a writer.
      fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (cause) {
      throw fileError(path, cause, 'read');
    }
    try {
      const stats = fstatSync(fd, { bigint: true });
      if (!stats.isFile()) {
        throw notRegular(path);
      }
      const identity = identityOf(stats);
      if (identity.size === 0) {
        // Files of /proc say 0 whatever they hold.
        throw new KlpflowError('not-elf', `${path} is empty or not a file on disk`, { object: path, offset: 0 });
      }
      if (identity.size > LARGEST_MAP) {
        throw new KlpflowError(
          'input-too-large',
          `${path} has ${identity.size} bytes; this version maps at most ${LARGEST_MAP}`,
          {
            object: path,
          },
        );
      }
      const { map: mapped, PROT_READ, MAP_SHARED } = mmap();
      const map = mapped(identity.size, PROT_READ, MAP_SHARED, fd);
      // Not the Buffer itself: Buffer.slice is a view, and a write to one would kill the process.
      return new MappedFile(calledPath, identity, new Uint8Array(map.buffer, map.byteOffset, map.length));
    } catch (cause) {
      if (cause instanceof KlpflowError) throw cause;
      throw fileError(path, cause, 'read');
    } finally {
      closeSync(fd);
    }
  }
}

/** The file's identity now. @throws KlpflowError `unreadable` */
export function fileIdentity(path: string): FileIdentity {
  try {
    return identityOf(statSync(path, { bigint: true }));
  } catch (cause) {
    throw fileError(path, cause, 'read');
  }
}

export function sameIdentity(a: FileIdentity, b: FileIdentity): boolean {
  return (
    a.device === b.device &&
    a.inode === b.inode &&
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs
  );
}

function identityOf(stats: BigIntStats): FileIdentity {
  return {
    device: String(stats.dev),
    inode: String(stats.ino),
    size: Number(stats.size),
    mtimeNs: String(stats.mtimeNs),
    ctimeNs: String(stats.ctimeNs),
  };
}
