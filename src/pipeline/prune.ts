/** What takes room in a run directory, and its removal: everything in it can be made again. */
import { existsSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunDir } from './run-dir';

/** What goes or stays as one: the records of an object or of a pair, what an image or a compressed file says, a copy, a tree. */
interface Entry {
  path: string;
  bytes: number;
  /** When it was last written or used, in milliseconds since the epoch. */
  used: number;
}

/** What is to go. */
export interface PruneOptions {
  /** What was not used for so many days; default 0. */
  olderDays?: number | undefined;
  /** Bytes that may stay, of what was used last; default none. */
  keepBytes?: number | undefined;
}

export interface Pruned {
  entries: number;
  bytes: number;
  /** Bytes that are left. */
  left: number;
}

const DAY_MS = 24 * 3600 * 1000;
const KINDS = ['objects', 'pairs', 'kernels', 'copies', 'inputs', 'builds'] as const;

/** Removes what was not used for `olderDays`, what was used least recently first, until `keepBytes` are left. A tree in which somebody builds stays. */
export function prune(runDir: RunDir, { olderDays = 0, keepBytes = 0 }: PruneOptions): Pruned {
  return remove(entriesOf(runDir.path, KINDS), Date.now() - olderDays * DAY_MS, keepBytes);
}

/** What a run directory may hold besides trees, of which the last three are kept, where nothing else is said. */
const CEILING = 20e9;
/** How often that is looked at. */
const EVERY_MS = 3600 * 1000;
/** What was used within this time may be in use. */
const IN_USE_MS = 6 * 3600 * 1000;

/** Keeps a run directory within its ceiling, `KLPFLOW_CACHE_LIMIT` in bytes; undefined where nothing had to go. */
export function keepWithin(runDir: RunDir): Pruned | undefined {
  const ceiling = Number(process.env['KLPFLOW_CACHE_LIMIT'] ?? CEILING);
  const checked = join(runDir.path, 'checked');
  const last = statSync(checked, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (!(ceiling >= 0) || Date.now() - last < EVERY_MS) return undefined;
  writeFileSync(checked, '');
  const entries = entriesOf(
    runDir.path,
    KINDS.filter((kind) => kind !== 'builds'),
  );
  const pruned = remove(entries, Date.now() - IN_USE_MS, ceiling);
  return pruned.entries === 0 ? undefined : pruned;
}

/** Marks a file or folder of the run directory as used now. */
export function markUsed(path: string): void {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // Not there yet, or somebody else's: it counts by when it was written.
  }
}

function remove(entries: Entry[], before: number, keepBytes: number): Pruned {
  let left = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const pruned = { entries: 0, bytes: 0 };
  for (const { path, bytes, used } of entries.sort((a, b) => a.used - b.used)) {
    if (used > before || left <= keepBytes || isBuiltIn(path)) continue;
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      continue;
    }
    left -= bytes;
    pruned.entries++;
    pruned.bytes += bytes;
  }
  return { ...pruned, left };
}

function entriesOf(root: string, kinds: readonly string[]): Entry[] {
  return kinds.flatMap((kind) =>
    namesIn(join(root, kind)).map((name) => {
      const path = join(root, kind, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      const files = stats?.isDirectory() === true ? filesBelow(path) : [];
      // Of a tree what its sources say of times means nothing.
      const times = kind === 'builds' ? [] : files.map(({ mtimeMs }) => mtimeMs);
      return {
        path,
        bytes: stats?.isFile() === true ? stats.size : files.reduce((sum, { size }) => sum + size, 0),
        used: times.reduce((latest, time) => Math.max(latest, time), stats?.mtimeMs ?? 0),
      };
    }),
  );
}

/** Whether a process that lives holds the tree's lock. */
function isBuiltIn(path: string): boolean {
  const lock = join(path, 'lock');
  if (!existsSync(lock)) return false;
  try {
    process.kill((JSON.parse(readFileSync(lock, 'utf8')) as { pid: number }).pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Sizes and times of all files below a folder; others may be at work in it. */
function filesBelow(folder: string): Array<{ size: number; mtimeMs: number }> {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
      const stats = entry.isFile()
        ? statSync(join(entry.parentPath ?? entry.path, entry.name), { throwIfNoEntry: false })
        : undefined;
      return stats === undefined ? [] : [{ size: stats.size, mtimeMs: stats.mtimeMs }];
    });
  } catch {
    return [];
  }
}
