/**
 * The command line behind the launcher (`main.ts`): the table of commands, and oclif around it.
 *
 * A command's module, and all that it imports, is loaded when that command runs. Help and lookup come from
 * `oclif.manifest.json`, which `npm run surface` writes from this table.
 */
import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { Errors, handle, run, settings, type Command, type Hook, type Interfaces } from '@oclif/core';
import pjson from '../package.json';
import { nearest } from './diagnostics/nearest';
import { ownProcess } from './v8-flags';

// The sources are never run in place of the bundle, whatever NODE_ENV says.
settings.enableAutoTranspile = false;

/** Command ids as typed, `:` between topic and command. */
export const COMMANDS: Record<string, Command.Class> = {
  get build() {
    return (require('./commands/build') as typeof import('./commands/build')).default;
  },
  get compare() {
    return (require('./commands/compare') as typeof import('./commands/compare')).default;
  },
  get correlate() {
    return (require('./commands/correlate') as typeof import('./commands/correlate')).default;
  },
  get 'create-diff-object'() {
    return (require('./commands/create-diff-object') as typeof import('./commands/create-diff-object')).default;
  },
  get 'create-klp-module'() {
    return (require('./commands/create-klp-module') as typeof import('./commands/create-klp-module')).default;
  },
  get diff() {
    return (require('./commands/diff') as typeof import('./commands/diff')).default;
  },
  get doctor() {
    return (require('./commands/doctor') as typeof import('./commands/doctor')).default;
  },
  get explain() {
    return (require('./commands/explain') as typeof import('./commands/explain')).default;
  },
  get extract() {
    return (require('./commands/extract') as typeof import('./commands/extract')).default;
  },
  get link() {
    return (require('./commands/link') as typeof import('./commands/link')).default;
  },
  get matrix() {
    return (require('./commands/matrix') as typeof import('./commands/matrix')).default;
  },
  get 'objtool:klp:checksum'() {
    return (require('./commands/objtool/klp/checksum') as typeof import('./commands/objtool/klp/checksum')).default;
  },
  get 'objtool:klp:diff'() {
    return (require('./commands/objtool/klp/diff') as typeof import('./commands/objtool/klp/diff')).default;
  },
  get 'objtool:klp:post-link'() {
    return (require('./commands/objtool/klp/post-link') as typeof import('./commands/objtool/klp/post-link')).default;
  },
  get report() {
    return (require('./commands/report') as typeof import('./commands/report')).default;
  },
  get runs() {
    return (require('./commands/runs') as typeof import('./commands/runs')).default;
  },
  get scan() {
    return (require('./commands/scan') as typeof import('./commands/scan')).default;
  },
  get shape() {
    return (require('./commands/shape') as typeof import('./commands/shape')).default;
  },
  get status() {
    return (require('./commands/status') as typeof import('./commands/status')).default;
  },
  get synth() {
    return (require('./commands/synth') as typeof import('./commands/synth')).default;
  },
  get verify() {
    return (require('./commands/verify') as typeof import('./commands/verify')).default;
  },
  get worker() {
    return (require('./commands/worker') as typeof import('./commands/worker')).default;
  },
  get wrappers() {
    return (require('./commands/wrappers') as typeof import('./commands/wrappers')).default;
  },
};

/** Runs one command line. Ends the process on an error, with the exit code of the contract. */
export async function start(argv: string[]): Promise<void> {
  ownProcess();
  const workers = threadsFor(argv);
  if (workers !== undefined) {
    (require('./pipeline/pool') as typeof import('./pipeline/pool')).startEarly(workers);
    // What a thread prints goes through listeners to this process's streams: with ten of them Node warns of the next listener, a command's own.
    for (const stream of [process.stdout, process.stderr]) stream.setMaxListeners(0);
  }
  try {
    // Not oclif's flush after it, which gives up on a reader that pauses for ten seconds. Node ends when all is written.
    await run(asOclif(argv), { root: resolve(__dirname, '..'), pjson: pjson as unknown as Interfaces.PJSON });
  } catch (error) {
    await handle(error as Error);
  }
}

/** `help COMMAND`, as others have it. */
function asOclif(argv: string[]): string[] {
  return argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
}

/** Commands that compare two objects. */
const THREADED = new Set(['compare', 'correlate', 'diff', 'explain', 'extract', 'report']);

/**
 * How many threads a command line asks for, by a glance; undefined where it may need none. A thread takes 90 ms to start, as long
 * as it takes to read the command line properly, which then decides.
 */
function threadsFor([command = '', ...argv]: string[]): number | undefined {
  if (command === 'objtool') return threadsForObjtool(argv);
  if (
    !THREADED.has(command) ||
    argv.length < 2 ||
    argv.some((word) => word === '--help' || word === '-h' || word.startsWith('--memory'))
  )
    return undefined;
  const flag = argv.findIndex((word) => word.startsWith('--workers'));
  const workers =
    flag < 0
      ? availableParallelism()
      : Number(argv[flag] === '--workers' ? argv[flag + 1] : argv[flag]!.slice('--workers='.length));
  return Number.isInteger(workers) && workers > 0 && workers <= Math.min(MOST_EARLY, availableParallelism())
    ? workers
    : undefined;
}

function threadsForObjtool([, command, ...argv]: string[]): number | undefined {
  const most = Math.min(MOST_EARLY, availableParallelism());
  if (command === 'diff') return argv.length < 3 ? undefined : most;
  const size = command === 'checksum' ? statSync(argv.at(-1) ?? '', { throwIfNoEntry: false })?.size : undefined;
  if (size === undefined) return undefined;
  const { checksumThreads } = require('./pipeline/checksum') as typeof import('./pipeline/checksum');
  return Math.min(most, checksumThreads(size)) || undefined;
}

/** Threads that nobody asked for yet. A process ends when all of them have started: with more than cores an error of usage takes seconds. */
const MOST_EARLY = 64;

/** The command that was not found, in the words that were typed, and the nearest one there is. */
export const notFound: Hook<'command_not_found'> = async ({ id, config }) => {
  const typed = id.replaceAll(':', ' ');
  const command = config.commandIDs.find((known) => id.startsWith(`${known}:`))?.replaceAll(':', ' ');
  if (command !== undefined)
    Errors.error(`${command} takes no argument: ${typed.slice(command.length + 1)}`, { exit: 1 });
  const words = config.commandIDs.map((one) => one.replaceAll(':', ' '));
  // Arguments of a command that there is not look like more of its name.
  const near = nearest(typed, words) ?? nearest(typed.split(' ', 1)[0]!, words);
  const suggestions = near === undefined ? [] : [`${config.bin} ${near}`];
  Errors.error(`command ${typed} not found`, { exit: 1, suggestions });
};
