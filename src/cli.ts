/**
 * The command line behind the launcher (`main.ts`): the table of commands, and oclif around it.
 *
 * A command's module, and all that it imports, is loaded when that command runs. Help and lookup come from
 * `oclif.manifest.json`, which `npm run surface` writes from this table.
 */
import { resolve } from 'node:path';
import { flush, handle, run, settings, type Command, type Interfaces } from '@oclif/core';
import pjson from '../package.json';

// The sources are never run in place of the bundle, whatever NODE_ENV says.
settings.enableAutoTranspile = false;

/** Command ids as typed, `:` between topic and command. */
export const COMMANDS: Record<string, Command.Class> = {
  get doctor() { return (require('./commands/doctor') as typeof import('./commands/doctor')).default; },
};

/** Runs one command line. Ends the process on an error, with the exit code of the contract. */
export async function start(argv: string[]): Promise<void> {
  try {
    await run(argv, { root: resolve(__dirname, '..'), pjson: pjson as unknown as Interfaces.PJSON });
    await flush();
  } catch (error) {
    await handle(error as Error);
  }
}
