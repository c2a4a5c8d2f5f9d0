import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync, writevSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Reader, Writer } from 'protobufjs/minimal';
import { fileError } from '../diagnostics';
import { klpflow } from './generated/schema';
import { Hash64 } from './hash';
import { temporaryIn } from './temporary';

/** Version of the schema; raise it when a field changes its meaning. */
const SCHEMA = 1;

/** The build puts klpflow's version here and a digest of the code, which decides what records hold. */
declare const KLPFLOW_PRODUCER: string | undefined;
const PRODUCER = typeof KLPFLOW_PRODUCER === 'undefined' ? 'not built' : KLPFLOW_PRODUCER;

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
export function writeRecords({ file: path, key, scratch }: RecordPlace, kind: string, messages: Iterable<Uint8Array | readonly Uint8Array[]>): void {
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
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch {
    return 'absent';
  }
  const end = file.length - TRAILER;
  if (end < 0 || !file.subarray(end, end + 8).equals(MAGIC) || file.readBigUInt64LE(end + 8) !== BigInt(end)) return 'damaged';
  if (new Hash64().update(file.subarray(0, end)).digest() !== file.readBigUInt64LE(end + 16)) return 'damaged';
  try {
    const reader = Reader.create(file.subarray(0, end));
    const messages: Uint8Array[] = [];
    while (reader.pos < reader.len) messages.push(reader.bytes());
    const header = klpflow.Header.decode(messages[0]!);
    if (header.schema !== SCHEMA || header.producer !== PRODUCER) return 'other version';
    return header.kind === kind && (key === undefined || header.key === key) ? messages.slice(1) : 'other input';
  } catch {
    return 'damaged';
  }
}
