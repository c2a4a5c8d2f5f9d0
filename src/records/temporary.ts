/**
 * Unfinished files. A record is written under a name of its own, `.<name>.<home>-<pid>-<thread>.tmp`, and renamed when it is
 * whole. A run that is killed leaves such files behind; nothing ever reads them, and a later run removes them.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';

const NAME = /^\..+\.([0-9a-f]{8})-(\d+)-\d+\.tmp$/;

/** No record takes this long to write, not even by a run that was stopped overnight. */
const LONGEST_MS = 24 * 3600 * 1000;

/** The name under which this thread writes `path`. */
export function temporaryFor(path: string): string {
  return join(dirname(path), `.${basename(path)}.${home()}-${process.pid}-${threadId}.tmp`);
}

export function isTemporary(name: string): boolean {
  return NAME.test(name);
}

/** Removes the unfinished files below `root` whose writers are gone. Others may be writing there: their files stay. */
export function removeAbandoned(root: string): void {
  for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    const [, where, pid] = NAME.exec(basename(path)) ?? [];
    if (where === undefined || pid === undefined) continue;
    const file = join(root, path);
    const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (age > LONGEST_MS || (where === home() && !isAlive(Number(pid)))) rmSync(file, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    // Other people's processes are alive, too.
    return (cause as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

let known: string | undefined;

/** Where process numbers mean what they mean here: this boot of this machine, this container. */
function home(): string {
  known ??= createHash('sha256').update([hostname(), read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')), read(() => readlinkSync('/proc/self/ns/pid'))].join()).digest('hex').slice(0, 8);
  return known;
}

function read(source: () => string): string {
  try {
    return source();
  } catch {
    return '';
  }
}
