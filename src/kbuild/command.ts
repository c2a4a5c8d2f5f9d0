/** Programs that a build runs: arguments as a list, never through a shell; all that they say goes into a log. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { KlpflowError, fileError, type DiagnosticCode, interrupted } from '../diagnostics';
import { STARTED, endLine, lastLines } from './build-log';

export interface Command {
  program: string;
  args: readonly string[];
  cwd: string;
  /** Added to this process's environment. */
  env?: Readonly<Record<string, string>>;
  /** Where its words go; without it they are only answered. */
  log?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Told which process runs. */
  watch?: Watch | undefined;
}

/** Whoever has to know which programs run, so that a later run can end those that a killed one left. */
export interface Watch {
  started(pid: number): void;
  ended(pid: number): void;
}

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, in a process group of its own that ends when the run is to stop. @throws KlpflowError `interrupted`, `build-tool-missing` */
export function run({ program, args, cwd, env = {}, log, signal, watch }: Command): Promise<Ended> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(interrupted());
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, LC_ALL: 'C', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const said: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
    const file = log === undefined ? undefined : openSync(log, 'a');
    const note = (text: string | Buffer): void => {
      try {
        if (file !== undefined) writeSync(file, text as string);
      } catch {
        // The disk is full. The program will meet that, too, and what it says is kept here.
      }
    };
    const started = performance.now();
    note(`${STARTED}${[program, ...args].join(' ')}\n`);
    for (const stream of ['stdout', 'stderr'] as const)
      child[stream].on('data', (text: Buffer) => {
        said[stream].push(text);
        note(text);
      });
    const stop = (): void => {
      try {
        process.kill(-child.pid!, 'SIGTERM');
      } catch {
        // It has ended by itself.
      }
    };
    const ended = (): void => {
      signal?.removeEventListener('abort', stop);
      if (file !== undefined) closeSync(file);
      if (child.pid !== undefined) watch?.ended(child.pid);
    };
    signal?.addEventListener('abort', stop);
    child.once('spawn', () => {
      try {
        watch?.started(child.pid!);
      } catch (cause) {
        // Nobody would know of it, were this run killed.
        stop();
        reject(fileError(cwd, cause, 'write'));
      }
    });
    child.once('error', (cause: NodeJS.ErrnoException) => {
      ended();
      reject(
        new KlpflowError(
          'build-tool-missing',
          cause.code === 'ENOENT' ? `${program} is not installed, or not in PATH` : `${program}: ${cause.message}`,
          {},
          cause,
        ),
      );
    });
    child.once('close', (status) => {
      note(endLine(status, performance.now() - started));
      ended();
      if (signal?.aborted === true) return reject(interrupted());
      const text = (stream: 'stdout' | 'stderr'): string => Buffer.concat(said[stream]).toString('latin1');
      resolve({ status, stdout: text('stdout'), stderr: text('stderr') });
    });
  });
}

/** Lines of a failing program that go into the message; the log has all. */
const LAST_LINES = 8;

/** As `run`. @throws KlpflowError of `code` where the program fails, with its last lines and the way to the log */
export async function succeed(command: Command, what: string, code: DiagnosticCode = 'make-failed'): Promise<Ended> {
  const ended = await run(command);
  if (ended.status !== 0) throw failure(ended, command, what, code);
  return ended;
}

export function failure(
  { status, stderr, stdout }: Ended,
  { log }: Command,
  what: string,
  code: DiagnosticCode,
): KlpflowError {
  const full = /No space left on device/.test(stderr + stdout);
  const lines = lastLines(stderr.trim() === '' ? stdout : stderr, LAST_LINES);
  return new KlpflowError(
    full ? 'no-space' : code,
    `${what} failed (${status === null ? 'killed by a signal' : `exit code ${status}`})${log === undefined ? '' : `; all of it: ${log}`}\n${lines.map((line) => `        ${line}`).join('\n')}`,
    log === undefined ? {} : { object: log },
  );
}

/** The program's start, by which a process number is known to be the same process still; undefined where there is none. */
export function startOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')[19];
  } catch {
    return undefined;
  }
}
