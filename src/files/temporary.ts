/**
 * Unfinished files. A record is written under a name of its own, `.<name>.<home>-<pid>-<thread>.tmp`, and renamed when it is
 * whole. A run that is killed leaves such files behind; nothing ever reads them, and a later run removes them.
 */
import { readFileSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';

const NAME = /^\..+\.([0-9a-f]{8})-(\d+)-\d+\.tmp$/;

/** No record takes this long to write, not even by a run that was stopped overnight. */
const LONGEST_MS = 24 * 3600 * 1000;

/** The path in `folder` under which this thread writes a file that will be called `name`. */
export function temporaryIn(folder: string, name: string): string {
  return join(folder, `.${name}.${home()}-${process.pid}-${threadId}.tmp`);
}

export function isTemporary(name: string): boolean {
  return NAME.test(name);
}

/** Removes the unfinished files in a folder whose writers are gone. Others may be writing there: their files stay. */
export function removeAbandoned(folder: string): void {
  for (const name of readdirSync(folder)) {
    const [, where, pid] = NAME.exec(name) ?? [];
    if (where === undefined || pid === undefined) continue;
    const file = join(folder, name);
    const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (age > LONGEST_MS || (where === home() && !isAlive(Number(pid)))) rmSync(file, { force: true, recursive: true });
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
  known ??= fnv1a(
    [
      hostname(),
      read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')),
      read(() => readlinkSync('/proc/self/ns/pid')),
    ].join(),
  );
  return known;
}

/** Eight hex digits (FNV-1a): a thread would load node:crypto for nothing else. */
function fnv1a(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

function read(source: () => string): string {
  try {
    return source();
  } catch {
    return '';
  }
}
