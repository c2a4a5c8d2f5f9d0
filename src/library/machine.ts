import { accessSync, constants, existsSync, readFileSync, statSync, statfsSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { diagnosticOf } from '../diagnostics';
import { cacheFolder } from '../files/cache-folder';
import { MappedFile } from '../files/mapped-file';

/** One thing that klpflow needs of a machine. */
export interface MachineCheck {
  name: string;
  ok: boolean;
  finding: string;
  /** What to do, where `ok` is false. */
  hint?: string;
}

const GIB = 2 ** 30;

/** Whether klpflow can run here. Changes nothing. */
export function checkMachine(): MachineCheck[] {
  return [nodeVersion(), mmapAddon(__filename), cores(), memory(), cacheDirectory(cacheFolder())];
}

function nodeVersion(): MachineCheck {
  const ok = Number.parseInt(process.versions.node, 10) >= 20;
  const finding = `${process.version} ${process.platform}-${process.arch}`;
  return { name: 'node', ok, finding, ...(ok ? {} : { hint: 'install Node.js 20 or newer' }) };
}

/** Maps a file that is surely there, klpflow's own code, and compares it with what a plain read gives. */
function mmapAddon(file: string): MachineCheck {
  try {
    const { bytes } = MappedFile.open(file);
    if (readFileSync(file).equals(bytes)) return { name: 'mmap', ok: true, finding: 'the addon loads and maps a file' };
    throw new Error('a mapped file differs from the file');
  } catch (error) {
    const { message, hint } = diagnosticOf(error);
    return { name: 'mmap', ok: false, finding: message.split('\n', 1)[0]!, hint };
  }
}

function cores(): MachineCheck {
  return { name: 'cores', ok: true, finding: `${availableParallelism()}` };
}

function memory(): MachineCheck {
  const total = (totalmem() / GIB).toFixed(1);
  const free = (availableMemory() / GIB).toFixed(1);
  return { name: 'memory', ok: true, finding: `${total} GiB, ${free} GiB available` };
}

/** What a program could still get: on Linux that counts the page cache, which `os.freemem` does not. */
function availableMemory(): number {
  try {
    const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1];
    if (kibibytes !== undefined) return Number(kibibytes) * 1024;
  } catch {
    // Not Linux.
  }
  return freemem();
}

/** Whether the cache directory, or the nearest directory above it that exists, can be written. */
function cacheDirectory(directory: string): MachineCheck {
  let existing = directory;
  while (!existsSync(existing)) existing = dirname(existing);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
    if (!statSync(existing).isDirectory()) throw new Error('not a directory');
    const { bavail, bsize } = statfsSync(existing);
    return { name: 'cache', ok: true, finding: `${directory}, ${((bavail * bsize) / GIB).toFixed(1)} GiB free` };
  } catch {
    const hint = 'name a directory that can be written with --run-dir, or in KLPFLOW_CACHE_DIR';
    return { name: 'cache', ok: false, finding: `${directory} cannot be written`, hint };
  }
}
