/** One build at a time works in a work folder; the next one waits. What a killed one left running there is ended. */
import { linkSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { throwIfInterrupted } from '../diagnostics';
import { startOf, type Watch } from './command';

/** A process, by its number and when it started: numbers are used again. */
interface Process {
  pid: number;
  start: string | undefined;
}

const POLL_MS = 100;
const LOCK = 'lock';
const CHILD = 'child.';

export class Lock implements Watch {
  private constructor(private readonly folder: string) {}

  /** Waits until no other process works in the folder. `waiting` is told once who does. @throws KlpflowError `interrupted` */
  static async of(folder: string, signal: AbortSignal | undefined, waiting: (pid: number) => void): Promise<Lock> {
    const own = join(folder, `.${LOCK}.${process.pid}`);
    write(own, process.pid);
    try {
      for (let told = false; !taken(own, join(folder, LOCK)); ) {
        const holder = read(join(folder, LOCK));
        if (holder === undefined || !runs(holder)) {
          discard(join(folder, LOCK), holder);
          continue;
        }
        if (!told) waiting(holder.pid);
        told = true;
        throwIfInterrupted(signal);
        await setTimeout(POLL_MS);
      }
    } finally {
      rmSync(own, { force: true });
    }
    endLeftOver(folder);
    return new Lock(folder);
  }

  started(pid: number): void {
    write(join(this.folder, `${CHILD}${pid}`), pid);
  }

  ended(pid: number): void {
    rmSync(join(this.folder, `${CHILD}${pid}`), { force: true });
  }

  release(): void {
    rmSync(join(this.folder, LOCK), { force: true });
  }
}

/** Links the file of this process to the lock's name: of several that try, one can. */
function taken(own: string, lock: string): boolean {
  try {
    linkSync(own, lock);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw cause;
  }
}

/** The process that works in a folder; null where none does. */
export function holderOf(folder: string): number | null {
  const holder = read(join(folder, LOCK));
  return holder !== undefined && runs(holder) ? holder.pid : null;
}

/** Takes away the lock of one that is gone. Another process may just have done so and hold it: then it gets it back. */
function discard(lock: string, holder: Process | undefined): void {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
  } catch {
    return;
  }
  const found = read(aside);
  if (found !== undefined && found.pid !== holder?.pid && runs(found)) taken(aside, lock);
  rmSync(aside, { force: true });
}

/** Programs run in a process group each, which a kill of klpflow leaves alone: make would go on writing into the tree. */
function endLeftOver(folder: string): void {
  for (const name of readdirSync(folder).filter((entry) => entry.startsWith(CHILD))) {
    const child = read(join(folder, name));
    if (child !== undefined && runs(child)) {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended meanwhile.
      }
    }
    rmSync(join(folder, name), { force: true });
  }
}

function write(file: string, pid: number): void {
  writeFileSync(file, JSON.stringify({ pid, start: startOf(pid) } satisfies Process));
}

function read(file: string): Process | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Process;
  } catch {
    return undefined;
  }
}

function runs({ pid, start }: Process): boolean {
  return start !== undefined && startOf(pid) === start;
}
