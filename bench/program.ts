/** What every benchmark's program does around its work. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of its own, which is gone at the end and after Ctrl-C. */
export async function inScratch(use: (scratch: string) => Promise<number>): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), 'klpflow-bench-'));
  const clear = (): void => rmSync(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  process.once('SIGINT', () => {
    clear();
    process.exit(130);
  });
  try {
    return await use(scratch);
  } finally {
    clear();
  }
}

/** Ends the process with the program's exit code; what it throws is one line. */
export function runProgram(main: (args: string[]) => Promise<number>): void {
  main(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (cause: unknown) => {
      console.error(cause instanceof Error ? cause.message : cause);
      process.exitCode = 1;
    },
  );
}
