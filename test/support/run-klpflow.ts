import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { DiffResult, ProgressEvent } from '../../src/index';

const main = join(__dirname, '../../dist/main.js');

/** Exit codes of the contract, by verdict. */
export const EXIT_CODES = { patchable: 0, refused: 2, unchanged: 3 } as const;

export interface Ran {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** From `--progress json`: whole lines only. */
  events: ProgressEvent[];
}

/**
 * Runs the built command line as its own process. With `killAt`, kills it with SIGKILL as soon as it has told a progress
 * event (`--progress json`) for which that says yes: no handler of the process gets to run.
 */
export function klpflow(argv: readonly string[], killAt?: (event: ProgressEvent) => boolean): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    const ran: Ran = { status: null, signal: null, stdout: '', stderr: '', events: [] };
    let line = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      ran.stderr += text;
      const lines = (line + text).split('\n');
      line = lines.pop()!;
      for (const whole of lines) {
        if (!whole.startsWith('{')) continue;
        const event = JSON.parse(whole) as ProgressEvent;
        ran.events.push(event);
        if (killAt?.(event)) child.kill('SIGKILL');
      }
    });
    child.on('error', reject).on('close', (status, signal) => resolve({ ...ran, status, signal }));
  });
}

/** The result that `diff --json` printed. */
export function resultOf({ stdout, stderr }: Pick<Ran, 'stdout' | 'stderr'>): DiffResult {
  try {
    return JSON.parse(stdout) as DiffResult;
  } catch {
    throw new Error(`no JSON on stdout: ${stdout.slice(0, 200)}\n${stderr.slice(-2000)}`);
  }
}

/** What must be the same in every run: all of the JSON but its `run` key, byte for byte. */
export function withoutRun(ran: Pick<Ran, 'stdout' | 'stderr'>): string {
  const { run: _, ...rest } = resultOf(ran);
  return JSON.stringify(rest);
}
