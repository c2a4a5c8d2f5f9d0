import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { Diagnostic, DiffResult, ProgressEvent } from '../../src/index';

/** The built command line. */
export const MAIN = join(__dirname, '../../dist/main.js');

/** Exit codes of the contract, by verdict. */
export const EXIT_CODES = { patchable: 0, refused: 2, unchanged: 3 } as const;

/** Longer than anything that is run here; what takes this long hangs. */
const HANGS_MS = 60_000;

export interface Ran {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** From `--progress json`: whole lines only. */
  events: ProgressEvent[];
}

export interface RunSettings {
  cwd?: string;
  /** Added to this process's environment. */
  env?: Record<string, string>;
  /** Told each event of `--progress json` as it comes. */
  onEvent?: (event: ProgressEvent, child: ChildProcess) => void;
  /** Told each line of stderr that is no such event. */
  onLine?: (line: string, child: ChildProcess) => void;
  /** Put before `node`: `['setsid']`. */
  under?: readonly string[] | undefined;
  /** What takes so long hangs. */
  hangsMs?: number;
}

/**
 * Runs the built command line as its own process. With `killAt`, kills it with SIGKILL as soon as it has told a progress
 * event (`--progress json`) for which that says yes: no handler of the process gets to run.
 */
export function klpflow(argv: readonly string[], killAt?: (event: ProgressEvent) => boolean): Promise<Ran> {
  return running(argv, { onEvent: (event, child) => void (killAt?.(event) && child.kill('SIGKILL')) });
}

/** Runs the built command line as its own process. @throws where it hangs */
export function running(
  argv: readonly string[],
  { cwd, env, onEvent, onLine, under = [], hangsMs = HANGS_MS }: RunSettings = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const [program, ...rest] = [...under, process.execPath, MAIN, ...argv] as [string, ...string[]];
    const child = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, ...env },
    });
    const ran: Ran = { status: null, signal: null, stdout: '', stderr: '', events: [] };
    const limit = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`klpflow ${argv.join(' ')} hangs; stderr: ${ran.stderr.slice(-2000)}`));
    }, hangsMs);
    let line = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (ran.stdout += text));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      ran.stderr += text;
      const lines = (line + text).split('\n');
      line = lines.pop()!;
      for (const whole of lines) {
        if (!whole.startsWith('{"stage"')) {
          onLine?.(whole, child);
          continue;
        }
        const event = JSON.parse(whole) as ProgressEvent;
        ran.events.push(event);
        onEvent?.(event, child);
      }
    });
    child.on('error', reject).on('close', (status, signal) => {
      clearTimeout(limit);
      resolve({ ...ran, status, signal });
    });
  });
}

/** The result that `diff --json` printed. */
export function resultOf({ stdout, stderr }: Pick<Ran, 'stdout' | 'stderr'>): DiffResult {
  try {
    return JSON.parse(stdout) as DiffResult;
  } catch (cause) {
    throw new Error(`no JSON on stdout: ${stdout.slice(0, 200)}\n${stderr.slice(-2000)}`, { cause });
  }
}

/** What must be the same in every run: all of the JSON but its `run` key, byte for byte. */
export function withoutRun(ran: Pick<Ran, 'stdout' | 'stderr'>): string {
  const { run: _, ...rest } = resultOf(ran);
  return JSON.stringify(rest);
}

/** The one diagnostic of a command with `--json` that ended in an error. @throws where it printed anything else */
export function errorOf(ran: Ran): Diagnostic {
  const { schema, diagnostics, ...rest } = resultOf(ran) as unknown as { schema: string; diagnostics: Diagnostic[] };
  const [diagnostic, ...others] = diagnostics ?? [];
  if (schema !== 'klpflow/error@1' || diagnostic === undefined || others.length > 0 || Object.keys(rest).length > 0)
    throw new Error(`not one error: ${ran.stdout.slice(0, 2000)}`);
  return diagnostic;
}
