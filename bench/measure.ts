import { spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What one run of one command cost. */
export interface Measurement {
  /** Wall time from before the fork to the exit, start-up included. */
  seconds: number;
  /** CPU time of all its threads, to the kernel's 10 ms tick. */
  userSeconds: number;
  /** The kernel's part of it; on a virtual machine mostly the price of fresh memory, and the noisiest figure. */
  systemSeconds: number;
  /**
   * The highest RssAnon + RssShmem that was sampled. The kernel's own maximum (maxrss) also counts mapped file
   * pages, which belong to the page cache, so a program that maps its inputs would look as large as they are.
   */
  peakAnonBytes: number;
  /** `null` when a signal ended it. */
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

const SAMPLE_MS = 5;
/** The unit of /proc/PID/stat's times: USER_HZ, 100 a second on every architecture that Linux still has. */
const TICKS_PER_SECOND = 100;

/** Runs a command by itself and measures it. Only one at a time: the CPU time is this process's children's. */
export async function measure(command: readonly string[], cwd?: string): Promise<Measurement> {
  const [file, ...args] = command;
  const stdout = unnamedFile();
  const stderr = unnamedFile();
  try {
    let peakAnonBytes = 0;
    const before = childrenCpu();
    const begin = process.hrtime.bigint();
    // Files, not pipes: a full pipe would make the command wait for us.
    const child = spawn(file!, args, { cwd, stdio: ['ignore', stdout, stderr] });
    const status = child.pid === undefined ? undefined : openSync(`/proc/${child.pid}/status`, 'r');
    const sampler = setInterval(() => {
      if (status !== undefined) peakAnonBytes = Math.max(peakAnonBytes, anonBytes(status));
    }, SAMPLE_MS);
    try {
      const exitCode = await new Promise<number | null>((resolve, reject) => {
        child.once('error', reject);
        child.once('exit', resolve);
      });
      const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
      const after = childrenCpu();
      return {
        seconds,
        userSeconds: after.user - before.user,
        systemSeconds: after.system - before.system,
        peakAnonBytes,
        exitCode,
        stdout: contents(stdout),
        stderr: contents(stderr),
      };
    } finally {
      clearInterval(sampler);
      if (status !== undefined) closeSync(status);
    }
  } finally {
    closeSync(stdout);
    closeSync(stderr);
  }
}

const text = Buffer.alloc(16384);

/**
 * Memory that no file backs, of the process whose status is open; 0 once it is gone. Opening it for each sample took as long as reading it three
 * times, on a core that a program of two threads works on.
 */
function anonBytes(statusFile: number): number {
  let status: string;
  try {
    status = text.toString('latin1', 0, readSync(statusFile, text, 0, text.length, 0));
  } catch {
    return 0;
  }
  return (kilobytes(status, 'RssAnon') + kilobytes(status, 'RssShmem')) * 1024;
}

function kilobytes(status: string, field: string): number {
  const at = status.indexOf(`${field}:`);
  return at < 0 ? 0 : Number.parseInt(status.slice(at + field.length + 1), 10);
}

/** CPU time of the children that have ended and been waited for (fields cutime and cstime of proc(5)). */
function childrenCpu(): { user: number; system: number } {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  // Field 2, the name in parentheses, may hold spaces; field 3 follows the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { user: Number(fields[16 - 3]) / TICKS_PER_SECOND, system: Number(fields[17 - 3]) / TICKS_PER_SECOND };
}

function unnamedFile(): number {
  const folder = mkdtempSync(join(tmpdir(), 'klpflow-bench-'));
  try {
    return openSync(join(folder, 'output'), 'wx+', 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function contents(fd: number): string {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  // From the start: the child moved the offset that we share.
  const length = readSync(fd, bytes, 0, bytes.length, 0);
  return bytes.toString('utf8', 0, length);
}
