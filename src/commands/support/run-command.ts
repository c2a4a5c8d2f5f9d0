import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Args, Command, Flags } from '@oclif/core';
import { CATALOGUE, KlpflowError, diagnosticOf, isAllowable, readStructSizes, type DiffRequest, type TaskRecord } from '../../index';
import { progressView, type ProgressMode, type ProgressView } from '../../report/progress';
import { renderDiagnostic } from '../../report/text';
import { chromeTrace } from '../../report/trace';

/** ORIG and PATCHED, in every command that takes a pair. */
export const PAIR_ARGS = {
  orig: Args.string({ name: 'ORIG', description: 'vmlinux.o (or a module\'s .o) as shipped', required: true }),
  patched: Args.string({ name: 'PATCHED', description: 'the same object with the fix', required: true }),
};

/** Flags of every command that runs stages. */
export const RUN_FLAGS = {
  'run-dir': Flags.string({ description: 'where results live (default: a directory in the cache)', helpValue: 'DIR' }),
  fresh: Flags.boolean({ description: 'ignore what the run directory holds' }),
  workers: Flags.integer({ description: 'threads (default: one a core)', helpValue: 'N', min: 1, max: 256 }),
  progress: Flags.string({ description: 'how to show progress on stderr', options: ['auto', 'tree', 'lines', 'json', 'none'], default: 'auto' }),
  'trace-out': Flags.string({ description: 'write a Chrome trace of the run', helpValue: 'FILE' }),
  btf: Flags.string({ description: 'kernel types, for entry sizes of special sections: raw BTF or an ELF with .BTF', helpValue: 'FILE' }),
};

export const DIFF_FLAGS = {
  ...RUN_FLAGS,
  module: Flags.string({ description: 'name of the patched object, if it is a module', helpValue: 'NAME', default: 'vmlinux' }),
  allow: Flags.string({ description: 'turn a refusal into a warning, if its code allows it', helpValue: 'CODE[:SYMBOL]', multiple: true, multipleNonGreedy: true }),
};

interface RunFlags {
  'run-dir'?: string | undefined;
  fresh: boolean;
  workers?: number | undefined;
  progress: string;
  'trace-out'?: string | undefined;
  btf?: string | undefined;
}

type RunOptions = Pick<DiffRequest, 'runDir' | 'workers' | 'fresh' | 'structSizes' | 'signal' | 'progress' | 'trace'>;

/** The base of commands that run stages: progress, interruption, errors and exit codes, in one place. */
export abstract class RunCommand extends Command {
  private view: ProgressView | undefined;

  protected runDirectory(flag: string | undefined): string {
    return flag ?? join(this.config.cacheDir, 'runs');
  }

  /** Calls `work` with the options that flags say; the first Ctrl-C lets it drain, the second ends the process. */
  protected async running<T>(flags: RunFlags, work: (options: RunOptions) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const interrupt = (): void => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort();
      this.view?.end();
      process.stderr.write('interrupted: finishing the tasks under way (press Ctrl-C again to stop at once)\n');
    };
    process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
    this.view = progressView(flags.progress as ProgressMode, process.stderr);
    const { view } = this;
    const traced: TaskRecord[] = [];
    try {
      return await work({
        runDir: this.runDirectory(flags['run-dir']),
        workers: flags.workers ?? availableParallelism(),
        fresh: flags.fresh,
        structSizes: flags.btf === undefined ? {} : readStructSizes(flags.btf),
        signal: stop.signal,
        progress: (event) => view.show(event),
        trace: (tasks) => traced.push(...tasks),
      });
    } finally {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      view.end();
      if (flags['trace-out'] !== undefined && traced.length > 0) writeFileSync(flags['trace-out'], chromeTrace(traced));
    }
  }

  /** Checks `--allow` values against the catalogue. @throws KlpflowError `usage` */
  protected checkAllowed(allow: readonly string[]): void {
    for (const value of allow) {
      const [code = ''] = value.split(':');
      if (!(code in CATALOGUE)) throw new KlpflowError('usage', `--allow ${value}: there is no diagnostic ${code}`);
      if (!isAllowable(code)) throw new KlpflowError('usage', `--allow ${value}: ${code} cannot be allowed, the livepatch would not work`);
    }
  }

  /** One clear error, as text on stderr or as JSON on stdout; usage errors of oclif go their own way. */
  protected override async catch(error: Error & { exitCode?: number; oclif?: unknown; parse?: unknown }): Promise<void> {
    this.view?.end();
    if (error.oclif !== undefined || error.parse !== undefined) return super.catch(error);
    const found = diagnosticOf(error);
    process.exitCode = found.code === 'interrupted' ? 130 : 1;
    if (this.jsonEnabled()) {
      this.logJson({ schema: 'klpflow/error@1', diagnostics: [found] });
      return;
    }
    if (found.code === 'interrupted') process.stderr.write(`${found.hint}\n`);
    else process.stderr.write(`error ${renderDiagnostic({ ...found, severity: 'refusal' }).join('\n').trimStart()}\n`);
  }
}
