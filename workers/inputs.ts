/** What a thread reads, and keeps open between the tasks of a run. A file that changed meanwhile is an error here, not a surprise later. */
import { threadId } from 'node:worker_threads';
import { KlpflowError, fileError } from '../src/diagnostics';
import { ElfObject } from '../src/elf';
import { fileIdentity, sameIdentity, type FileIdentity } from '../src/files/mapped-file';
import { readText } from '../src/files/whole-file';
import { traceableNames } from '../src/kernel/ftrace-list';
import { ScanTable } from '../src/stages/scan';
import { Pairing } from '../src/stages/correlate';
import { Side } from '../src/stages/side/side';
import type { InputFile, InputRef, ObjectRef, PairRef } from '../src/pipeline/types';

export function mustBe(now: FileIdentity, { path, identity }: InputFile): void {
  if (!sameIdentity(now, identity))
    throw new KlpflowError('input-changed', `${path} changed during the run`, { object: path });
}

/** Reads a file that is no part of the pair. @throws KlpflowError `input-changed`, `unreadable`, the reader's own */
export function read<T>(input: InputFile, reader: (path: string, called?: string) => T): T {
  mustBe(fileIdentity(input.path), input);
  try {
    return reader(input.path, input.called);
  } catch (cause) {
    throw fileError(input.path, cause, 'read');
  }
}

/** `read`, of which the last value is kept for the units of a folder: a kernel's list has 20 MB. */
export function keptReader<T>(
  reader: (path: string, objectName: string) => T,
): (input: InputFile, objectName: string) => T {
  let last: { key: string; value: T } | undefined;
  return (input, objectName) => {
    const key = JSON.stringify([input, objectName]);
    return read(input, (path) => (last?.key === key ? last : (last = { key, value: reader(path, objectName) })).value);
  };
}

/** What a list of the running kernel says can be traced of an object. */
const traceableOf = keptReader((path, objectName) => traceableNames(readText(path), objectName, path));

export function traceableIn(ftrace: InputFile | null, objectName: string): ReadonlySet<string> | undefined {
  return ftrace === null ? undefined : traceableOf(ftrace, objectName);
}

const objects = new Map<string, ElfObject>();

/** @throws KlpflowError `input-changed` when the file is no longer the one that was identified */
export function open(input: InputRef): ElfObject {
  let object = objects.get(input.path);
  if (object === undefined) objects.set(input.path, (object = ElfObject.open(input.copy ?? input.path, input.path)));
  mustBe(input.copy === null ? object.file.identity : fileIdentity(input.path), input);
  return object;
}

let tablesMade = 0;
const tables = new Map<string, ScanTable>();

export function tableOf({ table: { id, shape, memory } }: ObjectRef): ScanTable {
  return tables.get(id) ?? kept(id, new ScanTable(shape, memory));
}

/** Keeps a table that this thread made, under a name that no other thread gives. */
export function keptTable(table: ScanTable): string {
  const id = `${process.pid}:${threadId}:${++tablesMade}`;
  kept(id, table);
  return id;
}

/** Two objects make a run; older tables would only hold memory. */
function kept(id: string, table: ScanTable): ScanTable {
  if (tables.size >= 2) tables.delete(tables.keys().next().value!);
  tables.set(id, table);
  return table;
}

const sides = new WeakMap<ScanTable, Side>();

/** An object with its readers, kept as long as its table. */
export function sideOf(ref: ObjectRef, structSizes: Record<string, number>): Side {
  const table = tableOf(ref);
  let side = sides.get(table);
  if (side === undefined) sides.set(table, (side = new Side(open(ref), table, structSizes)));
  return side;
}

let current: { id: string; sides: { orig: Side; patched: Side; pairing: Pairing } } | undefined;

/** Both sides, kept for the tasks of one pair. */
export function sidesOf(pair: PairRef): { orig: Side; patched: Side; pairing: Pairing } {
  if (current?.id !== pair.id) {
    const [orig, patched] = [sideOf(pair.orig, pair.structSizes), sideOf(pair.patched, pair.structSizes)];
    current = { id: pair.id, sides: { orig, patched, pairing: new Pairing(orig.table, patched.table, pair) } };
  }
  return current.sides;
}
