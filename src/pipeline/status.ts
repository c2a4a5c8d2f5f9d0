import { readdirSync, statSync } from 'node:fs';
import { largest } from '../lists';
import { basename, join, resolve } from 'node:path';
import { fileIdentity } from '../files/mapped-file';
import { decodeInput, decodeOutcome, decodeShape, loadHash, readRecords } from '../records';
import { prune, type PruneOptions, type Pruned } from './prune';
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

export interface RecordsStatus {
  runDir: string;
  /** Whether the run directory was ever used. */
  exists: boolean;
  inputs: InputStatus[];
  /** Outcomes of the pair, where two inputs were asked for, with the options they are for (null where that cannot be read). */
  outcomes: Array<RecordStatus & { options: unknown }>;
  /** Livepatch objects that were extracted from the pair. */
  livepatches: RecordStatus[];
}

/** What a run directory holds for some inputs, and what the next run would reuse. Reads everything, changes nothing. */
export async function statusOf(path: string, inputs: readonly string[]): Promise<RecordsStatus> {
  await loadHash();
  const runDir = RunDir.existing(path);
  const statuses = inputs.map((input) => inputStatus(runDir, input));
  const [orig, patched] = statuses;
  const pair =
    runDir !== undefined && orig?.digest && patched?.digest ? `${orig.digest}--${patched.digest}` : undefined;
  return {
    runDir: resolve(path),
    exists: runDir !== undefined,
    inputs: statuses,
    outcomes: pair === undefined ? [] : outcomesOf(runDir!, pair),
    livepatches: pair === undefined ? [] : livepatchesOf(runDir!, pair),
  };
}

function inputStatus(runDir: RunDir | undefined, path: string): InputStatus {
  const identity = fileIdentity(path);
  if (runDir === undefined)
    return { path, digest: null, reason: 'nothing is recorded: the run directory does not exist yet', records: [] };
  const place = runDir.input(identity);
  const messages = readRecords(place.file, 'input', place.key);
  if (messages === 'absent')
    return {
      path,
      digest: null,
      reason: 'not read yet as it is now: new, or changed since (device, inode, size, mtime or ctime differ)',
      records: [],
    };
  const digest = typeof messages === 'string' ? undefined : decodeInput(messages[0])?.digest;
  if (digest === undefined)
    return {
      path,
      digest: null,
      reason: `its input record is not used: ${typeof messages === 'string' ? messages : 'damaged'}`,
      records: [],
    };
  const records = recordsOf(runDir, digest);
  const recognised = 'recognised by device, inode, size, mtime and ctime';
  return {
    path,
    digest,
    reason: records.every(({ state }) => state === 'absent')
      ? `${recognised}, but nothing of its content is recorded`
      : recognised,
    records,
  };
}

/** The records of one object's content, those that are missing too. Their keys follow from their names. */
function recordsOf(runDir: RunDir, digest: string): RecordStatus[] {
  const folder = join('objects', digest);
  const names = recordNames(runDir, folder);
  const records = names.map((name) => {
    const stem = basename(name, '.pb');
    const [kind = '', ...rest] = stem.split('-');
    return status(runDir, join(folder, name), kind, rest.length === 0 ? digest : `${digest}:${rest.join('-')}`);
  });
  const absent = [
    names.includes('table.pb') ? [] : ['table.pb'],
    missingShards(runDir, digest, names),
    names.some((name) => name.startsWith('special-')) ? [] : ['special.pb'],
  ].flat();
  return [...records, ...absent.map((name) => ({ file: join(folder, name), bytes: 0, state: 'absent' }))];
}

/** Ranges of symbols that no shard covers, named as one shard each; none where the table does not say how many symbols there are. */
function missingShards(runDir: RunDir, digest: string, names: readonly string[]): string[] {
  const { file, key } = runDir.table(digest);
  const messages = readRecords(file, 'table', key);
  const symbols = typeof messages === 'string' ? 0 : (decodeShape(messages[0])?.symbols ?? 0);
  const shards = names.flatMap((name) => {
    const [, from, to] = /^digest-(\d+)-(\d+)\.pb$/.exec(name) ?? [];
    return from === undefined ? [] : [[Number(from), Number(to)] as const];
  });
  const missing: string[] = [];
  let end = 0;
  for (const [from, to] of [...shards.sort(([a], [b]) => a - b), [symbols, symbols] as const]) {
    if (from > end) missing.push(`digest-${end}-${from}.pb`);
    end = Math.max(end, to);
  }
  return missing;
}

function outcomesOf(runDir: RunDir, pair: string): RecordsStatus['outcomes'] {
  return recordNames(runDir, join('pairs', pair))
    .filter((name) => !isLivepatch(name))
    .map((name) => {
      const file = join('pairs', pair, name);
      const key = `${pair}:${basename(name, '.pb')}`;
      const messages = readRecords(join(runDir.path, file), 'outcome', key);
      return {
        ...status(runDir, file, 'outcome', key),
        options: typeof messages === 'string' ? null : (decodeOutcome(messages[0])?.options ?? null),
      };
    });
}

function livepatchesOf(runDir: RunDir, pair: string): RecordStatus[] {
  return recordNames(runDir, join('pairs', pair))
    .filter(isLivepatch)
    .map((name) =>
      status(
        runDir,
        join('pairs', pair, name),
        'livepatch',
        `${pair}:${basename(name, '.pb').slice(LIVEPATCH.length)}`,
      ),
    );
}

const LIVEPATCH = 'livepatch-';

function isLivepatch(name: string): boolean {
  return name.startsWith(LIVEPATCH);
}

function status(runDir: RunDir, file: string, kind: string, key: string): RecordStatus {
  const path = join(runDir.path, file);
  const messages = readRecords(path, kind, key);
  return { file, bytes: sizeOf(path), state: typeof messages === 'string' ? messages : 'usable' };
}

/** What a run directory holds, object by object and pair by pair. */
export interface RunListing {
  schema: 'klpflow/runs@1';
  runDir: string;
  /** Whether the run directory was ever used. */
  exists: boolean;
  /** Of all that it holds: records, kernels, trees, copies. */
  bytes: number;
  /** `written`: when its newest record was, in milliseconds since the epoch. */
  objects: Array<{ digest: string; files: number; bytes: number; written: number; paths: string[] }>;
  pairs: Array<{ orig: string; patched: string; outcomes: number }>;
  /** What was removed before, where that was asked for. */
  pruned?: Pruned;
}

/** Lists a run directory, after removing from it what `pruning` says. */
export async function listRuns(path: string, pruning?: PruneOptions): Promise<RunListing> {
  await loadHash();
  const runDir = RunDir.existing(path);
  const pruned = pruning === undefined || runDir === undefined ? undefined : prune(runDir, pruning);
  const listing: RunListing = {
    schema: 'klpflow/runs@1',
    runDir: resolve(path),
    exists: runDir !== undefined,
    bytes: runDir === undefined ? 0 : bytesBelow(runDir.path),
    objects: [],
    pairs: [],
    ...(pruned === undefined ? {} : { pruned }),
  };
  if (runDir === undefined) return listing;
  const paths = new Map<string, Set<string>>();
  for (const name of recordNames(runDir, 'inputs')) {
    const messages = readRecords(join(runDir.path, 'inputs', name), 'input', undefined);
    const input = typeof messages === 'string' ? undefined : decodeInput(messages[0]);
    if (input !== undefined) paths.set(input.digest, (paths.get(input.digest) ?? new Set()).add(input.path));
  }
  listing.objects = namesIn(runDir, 'objects').map((digest) => {
    const files = recordNames(runDir, join('objects', digest));
    const bytes = files.reduce((sum, name) => sum + sizeOf(join(runDir.path, 'objects', digest, name)), 0);
    const written = largest([0, ...files.map((name) => writtenAt(join(runDir.path, 'objects', digest, name)))]);
    return { digest, files: files.length, bytes, written, paths: [...(paths.get(digest) ?? [])].sort() };
  });
  listing.pairs = namesIn(runDir, 'pairs').map((name) => {
    const [orig = '', patched = ''] = name.split('--');
    return {
      orig,
      patched,
      outcomes: recordNames(runDir, join('pairs', name)).filter((file) => !isLivepatch(file)).length,
    };
  });
  return listing;
}

function recordNames(runDir: RunDir, folder: string): string[] {
  return namesIn(runDir, folder).filter((name) => name.endsWith('.pb'));
}

/** Names in a folder of the run directory, none where it does not exist (yet, or any more: others may be at work). */
function namesIn(runDir: RunDir, folder: string): string[] {
  try {
    return readdirSync(join(runDir.path, folder)).sort();
  } catch {
    return [];
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function writtenAt(path: string): number {
  return Math.round(statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
}

/** What all files below a folder take; others may be at work in it. */
function bytesBelow(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .reduce((sum, entry) => sum + sizeOf(join(entry.parentPath ?? entry.path, entry.name)), 0);
  } catch {
    return 0;
  }
}
