import { spawnSync } from 'node:child_process';
import type { TestContext } from 'vitest';

/** Linux 7.2's objtool, built from Debian's linux-source-7.2: what the stand-ins are compared with. */
const OBJTOOL = process.env['KLPFLOW_OBJTOOL'] ?? '';

/** Skips a test that cannot compare, with the reason that the end of the run repeats. */
export function skipWithoutObjtool(context: TestContext): void {
  if (OBJTOOL === '' || spawnSync(OBJTOOL, ['klp']).error !== undefined)
    context.skip('no objtool to compare with: KLPFLOW_OBJTOOL names the one of Linux 7.2 (tools/objtool)');
}

export interface Said {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs objtool. */
export function objtool(argv: readonly string[], cwd?: string): Said {
  const { status, stdout, stderr } = spawnSync(OBJTOOL, argv, {
    encoding: 'utf8',
    maxBuffer: 1 << 29,
    ...(cwd === undefined ? {} : { cwd }),
  });
  return { status, stdout, stderr };
}

/** Runs `objtool klp ...`. */
export function objtoolKlp(argv: readonly string[], cwd?: string): Said {
  return objtool(['klp', ...argv], cwd);
}
