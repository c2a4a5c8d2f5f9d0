import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { Reader, Writer } from 'protobufjs/minimal';
import { fileError } from '../diagnostics';
import { klpflow } from './generated/schema';
import { hash64 } from './hash';
import { temporaryFor } from './temporary';

/** Version of the schema; raise it when a field changes its meaning. */
const SCHEMA = 1;

/** The build puts klpflow's version here and a digest of the code, which decides what records hold. */
declare const KLPFLOW_PRODUCER: string | undefined;
const PRODUCER = typeof KLPFLOW_PRODUCER === 'undefined' ? 'not built' : KLPFLOW_PRODUCER;

const MAGIC = Buffer.from('klpflow\n', 'latin1');
const TRAILER = 24;

/**
 * Writes a record file: a Header, then `messages`, then the trailer that proves it whole. To a temporary name first,
 * renamed at the end, so that a reader sees all of it or nothing. Not synced: after a power failure a torn file is
 * recognised by its trailer and made again.
 *
 * @throws KlpflowError `no-space`, `write-failed`
 */
export function writeRecords(path: string, kind: string, key: string, messages: Iterable<Uint8Array>): void {
  const temporary = temporaryFor(path);
  let fd: number | undefined;
  try {
    makeFolder(dirname(path));
    fd = openSync(temporary, 'w');
    const header = klpflow.Header.encode({ schema: SCHEMA, kind, key, producer: PRODUCER } as klpflow.Header).finish();
    const written: Uint8Array[] = [];
    let length = 0;
    for (const message of [header, ...messages]) {
      const prefix = new Writer().uint32(message.length).finish();
      for (const part of [prefix, message]) {
        writeAll(fd, part);
        written.push(part);
        length += part.length;
      }
    }
    const trailer = Buffer.alloc(TRAILER);
    MAGIC.copy(trailer);
    trailer.writeBigUInt64LE(BigInt(length), 8);
    trailer.writeBigUInt64LE(hash64(written), 16);
    writeAll(fd, trailer);
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
    return;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST' && isFolder(path)) return;
    if (code !== 'ENOENT' || isFolder(dirname(path))) throw cause;
  }
  makeFolder(dirname(path));
  makeFolder(path);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
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
  if (hash64([file.subarray(0, end)]) !== file.readBigUInt64LE(end + 16)) return 'damaged';
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
