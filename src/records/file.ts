import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { Reader, Writer } from 'protobufjs/minimal';
import { fileError } from '../diagnostics';
import { klpflow } from './generated/schema';
import { hash64 } from './hash';

/** Version of the schema and of what the stages compute; raise it with either. */
export const SCHEMA = 1;

const MAGIC = Buffer.from('klpflow\n', 'latin1');
const TRAILER = 24;

/**
 * Writes a record file: a Header, then `messages`, then the trailer that proves it whole. To a temporary name first,
 * renamed at the end, so that a reader sees all of it or nothing. Not synced: after a power failure a torn file is
 * recognised by its trailer and made again.
 *
 * @throws KlpflowError `no-space`, `write-failed`
 */
export function writeRecords(path: string, kind: string, key: string, producer: string, messages: Iterable<Uint8Array>): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${threadId}.tmp`);
  let fd: number | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true });
    fd = openSync(temporary, 'w');
    const header = klpflow.Header.encode({ schema: SCHEMA, kind, key, producer } as klpflow.Header).finish();
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
    closeSync(fd);
    fd = undefined;
    renameSync(temporary, path);
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    rmSync(temporary, { force: true });
    throw fileError(path, cause, 'write');
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/** Why a record file was not used. */
export type Miss = 'absent' | 'damaged' | 'other version' | 'other input';

/** The messages of a whole record file of this kind and key (undefined: any), without the header; or why it cannot be used. */
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
    if (header.schema !== SCHEMA) return 'other version';
    return header.kind === kind && (key === undefined || header.key === key) ? messages.slice(1) : 'other input';
  } catch {
    return 'damaged';
  }
}
