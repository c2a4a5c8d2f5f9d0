import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileIdentity } from '../elf';
import { decodeInput, loadHash, readRecords } from '../records';
import { RunDir } from './run-dir';

/** One record file and whether the next run would use it. */
export interface RecordStatus {
  file: string;
  bytes: number;
  /** `usable`, or why not: `absent`, `damaged`, `other version`, `other input`. */
  state: string;
}

export interface InputStatus {
  path: string;
  /** Content digest, null where the file was never digested as it is now. */
  digest: string | null;
  /** Why the digest is known or not. */
  reason: string;
  records: RecordStatus[];
}

export interface StatusResult {
  schema: 'klpflow/status@1';
  runDir: string;
  inputs: InputStatus[];
  /** Outcomes of the pair, where two inputs were asked for. */
  outcomes: RecordStatus[];
}

/** What a run directory holds for some inputs, and what the next run would reuse. Reads everything, changes nothing. */
export async function statusOf(path: string, inputs: readonly string[]): Promise<StatusResult> {
  await loadHash();
  const runDir = RunDir.existing(path);
  const statuses = inputs.map((input) => inputStatus(runDir, input));
  const [orig, patched] = statuses;
  const outcomes = orig?.digest && patched?.digest ? recordsIn(runDir, join('pairs', `${orig.digest}--${patched.digest}`), 'outcome') : [];
  return { schema: 'klpflow/status@1', runDir: runDir.path, inputs: statuses, outcomes };
}

function inputStatus(runDir: RunDir, path: string): InputStatus {
  const place = runDir.input(path, fileIdentity(path));
  const messages = readRecords(place.file, 'input', place.key);
  if (typeof messages === 'string') {
    const reason = messages === 'absent' ? 'not scanned as it is now: new, or changed since (device, inode, size, mtime or ctime differ)' : `its input record is of no use: ${messages}`;
    return { path, digest: null, reason, records: [] };
  }
  const digest = decodeInput(messages[0])?.digest ?? null;
  if (digest === null) return { path, digest, reason: 'its input record is damaged', records: [] };
  const records = recordsIn(runDir, join('objects', digest), undefined);
  return { path, digest, reason: records.length === 0 ? 'recognised, but nothing of it is recorded' : 'recognised by device, inode, size, mtime and ctime', records };
}

/** The record files of one folder of the run directory, checked. Keys of records follow from their names. */
function recordsIn(runDir: RunDir, folder: string, kind: string | undefined): RecordStatus[] {
  let names: string[];
  try {
    names = readdirSync(join(runDir.path, folder)).filter((name) => name.endsWith('.pb')).sort();
  } catch {
    return [];
  }
  const digest = folder.split('/').at(-1)!;
  return names.map((name) => {
    const file = join(runDir.path, folder, name);
    const stem = name.slice(0, -3);
    const part = stem.replace(/^(digest|special)-/, '');
    const key = stem === 'table' ? digest : `${digest}:${part}`;
    const messages = readRecords(file, kind ?? stem.split('-')[0]!, key);
    return { file: join(folder, name), bytes: statSync(file).size, state: typeof messages === 'string' ? messages : 'usable' };
  });
}

/** What a run directory holds, object by object and pair by pair. */
export interface RunListing {
  schema: 'klpflow/runs@1';
  runDir: string;
  objects: Array<{ digest: string; files: number; bytes: number; paths: string[] }>;
  pairs: Array<{ orig: string; patched: string; outcomes: number }>;
}

export async function listRuns(path: string): Promise<RunListing> {
  await loadHash();
  const runDir = RunDir.existing(path);
  const names = (folder: string): string[] => {
    try {
      return readdirSync(join(runDir.path, folder)).sort();
    } catch {
      return [];
    }
  };
  const paths = new Map<string, Set<string>>();
  for (const name of names('inputs')) {
    const input = decodeAny(join(runDir.path, 'inputs', name));
    if (input !== undefined) paths.set(input.digest, (paths.get(input.digest) ?? new Set()).add(input.path));
  }
  const objects = names('objects').map((digest) => {
    const files = names(join('objects', digest)).filter((name) => name.endsWith('.pb'));
    const bytes = files.reduce((sum, name) => sum + statSync(join(runDir.path, 'objects', digest, name)).size, 0);
    return { digest, files: files.length, bytes, paths: [...(paths.get(digest) ?? [])].sort() };
  });
  const pairs = names('pairs').map((name) => {
    const [orig = '', patched = ''] = name.split('--');
    return { orig, patched, outcomes: names(join('pairs', name)).filter((file) => file.endsWith('.pb')).length };
  });
  return { schema: 'klpflow/runs@1', runDir: runDir.path, objects, pairs };
}

function decodeAny(file: string): { path: string; digest: string } | undefined {
  const messages = readRecords(file, 'input', undefined);
  return typeof messages === 'string' ? undefined : decodeInput(messages[0]);
}
