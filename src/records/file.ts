import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
  writevSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { Reader, Writer } from 'protobufjs/minimal';
import { fileError } from '../diagnostics';
import { klpflow } from './generated/schema';
import { Hash64 } from './hash';
import { temporaryIn } from '../files/temporary';

/** Version of the schema; raise it when a field changes its meaning. */
const SCHEMA = 1;

/** The build puts klpflow's version here and a digest of the code, which decides what records hold. */
declare const KLPFLOW_PRODUCER: string | undefined;
export const PRODUCER = typeof KLPFLOW_PRODUCER === 'undefined' ? 'not built' : KLPFLOW_PRODUCER;

const MAGIC = Buffer.from('klpflow\n', 'latin1');
const TRAILER = 24;

/** Where a record lives, what it must say of itself to be used, and the folder (of the same file system) to write it in. */
export interface RecordPlace {
  file: string;
  key: string;
  scratch: string;
}

/**
 * Writes a record file: a Header, then `messages` (each whole, or as parts), then the trailer that proves it whole. To a temporary name first,
 * renamed at the end, so that a reader sees all of it or nothing. Not synced: after a power failure a torn file is
 * recognised by its trailer and made again.
 *
 * @throws KlpflowError `no-space`, `write-failed`
 */
export function writeRecords(
  { file: path, key, scratch }: RecordPlace,
  kind: string,
  messages: Iterable<Uint8Array | readonly Uint8Array[]>,
): void {
  const temporary = temporaryIn(scratch, basename(path));
  let fd: number | undefined;
  try {
    makeFolder(dirname(path));
    makeFolder(scratch);
    fd = openSync(temporary, 'w');
    const header = klpflow.Header.encode({ schema: SCHEMA, kind, key, producer: PRODUCER } as klpflow.Header).finish();
    const hash = new Hash64();
    let length = 0;
    const put = (parts: readonly Uint8Array[]): void => {
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      const all = [new Writer().uint32(bytes).finish(), ...parts];
      writeAll(fd!, all);
      for (const part of all) {
        hash.update(part);
        length += part.length;
      }
    };
    put([header]);
    for (const message of messages) put(message instanceof Uint8Array ? [message] : message);
    const trailer = Buffer.alloc(TRAILER);
    MAGIC.copy(trailer);
    trailer.writeBigUInt64LE(BigInt(length), 8);
    trailer.writeBigUInt64LE(hash.digest(), 16);
    writeAll(fd, [trailer]);
    const open = fd;
    fd = undefined;
    closeSync(open);
    renameSync(temporary, path);
  } catch (cause) {
    try {
      if (fd !== undefined) closeSync(fd);
      rmSync(temporary, { force: true });
    } catch {
      // What went wrong first is what counts; a later run removes the file.
    }
    throw (cause as NodeJS.ErrnoException).syscall === undefined ? cause : fileError(path, cause, 'write');
  }
}

/**
 * Makes a folder and those above it. Not by `recursive: true`: Node 20 never returns from it where a folder that exists
 * answers ENOENT, as those of /proc do.
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST' && isFolder(path)) return;
    if (code !== 'ENOENT') throw cause;
    makeFolder(dirname(path));
    try {
      mkdirSync(path);
    } catch (again) {
      // Others may be making the same folders.
      if (!isFolder(path)) throw again;
    }
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function writeAll(fd: number, parts: readonly Uint8Array[]): void {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  let written = writevSync(fd, parts);
  // A call that wrote less than it was given: what is left of each part, one by one.
  for (const part of written < total ? parts : []) {
    const rest = part.subarray(Math.min(part.length, written));
    written -= part.length - rest.length;
    for (let at = 0; at < rest.length; ) at += writeSync(fd, rest, at);
  }
}

/** Why a record file was not used. */
export type Miss = 'absent' | 'damaged' | 'other version' | 'other input';

/**
 * The messages of a whole record file of this kind and key (undefined: any), without the header; or why it cannot be used.
 * Not those of other code either: nobody has to remember that a changed stage makes other results.
 */
export function readRecords(path: string, kind: string, key: string | undefined): Uint8Array[] | Miss {
  try {
    const messages = openRecords(path, kind, key, Buffer.allocUnsafe);
    return typeof messages === 'string' ? messages : [...messages];
  } catch {
    return 'damaged';
  }
}

/**
 * As `readRecords`, a message at a time: a table of 6 million symbols has 400 MB. Each is good until the next is asked for, unless `space`
 * gives memory of its own. Must be gone through, or ended by `return`, for the file to be closed.
 * @throws where the file is damaged all the same, or cannot be read any more
 */
export function openRecords(
  path: string,
  kind: string,
  key: string | undefined,
  space = oneSpace(),
): Generator<Uint8Array, void> | Miss {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return 'absent';
  }
  let end: number | undefined;
  try {
    end = provenEnd(fd);
  } catch {
    // It was cut while it was read.
  }
  if (end === undefined) {
    closeSync(fd);
    return 'damaged';
  }
  const messages = messagesIn(fd, end, space);
  let miss: Miss;
  try {
    const header = klpflow.Header.decode(messages.next().value as Uint8Array);
    if (header.schema !== SCHEMA || header.producer !== PRODUCER) miss = 'other version';
    else if (header.kind === kind && (key === undefined || header.key === key)) return messages;
    else miss = 'other input';
  } catch {
    miss = 'damaged';
  }
  messages.return();
  return miss;
}

const PIECE = 1 << 20;

/** Where the messages end and the trailer begins; undefined where that does not prove them whole. */
function provenEnd(fd: number): number | undefined {
  const end = fstatSync(fd).size - TRAILER;
  if (end < 0) return undefined;
  const trailer = bytesAt(fd, end, TRAILER);
  if (!trailer.subarray(0, 8).equals(MAGIC) || trailer.readBigUInt64LE(8) !== BigInt(end)) return undefined;
  const hash = new Hash64();
  const piece = Buffer.allocUnsafe(Math.min(PIECE, end));
  for (let at = 0; at < end; at += piece.length) hash.update(bytesAt(fd, at, Math.min(piece.length, end - at), piece));
  return hash.digest() === trailer.readBigUInt64LE(16) ? end : undefined;
}

/** Longest length in front of a message. */
const VARINT = 5;

/** Closes the file at its end. */
function* messagesIn(fd: number, end: number, space: (length: number) => Buffer): Generator<Uint8Array, void> {
  try {
    for (let at = 0; at < end; ) {
      const reader = Reader.create(bytesAt(fd, at, Math.min(VARINT, end - at)));
      const length = reader.uint32();
      at += reader.pos;
      if (length > end - at) throw new RangeError('a message reaches beyond the end');
      yield bytesAt(fd, at, length, space(length));
      at += length;
    }
  } finally {
    closeSync(fd);
  }
}

/** The same memory each time: fresh memory takes the system longer to give than the file to be copied there. */
function oneSpace(): (length: number) => Buffer {
  let space = Buffer.alloc(0);
  return (length) => {
    if (length > space.length) space = Buffer.allocUnsafeSlow(length);
    return space;
  };
}

/** @throws RangeError where the file has no such bytes */
function bytesAt(fd: number, at: number, length: number, into: Buffer = Buffer.allocUnsafe(length)): Buffer {
  for (let done = 0; done < length; ) {
    const got = readSync(fd, into, done, length - done, at + done);
    if (got === 0) throw new RangeError('the file ends before its messages do');
    done += got;
  }
  return into.subarray(0, length);
}
