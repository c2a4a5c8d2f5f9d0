import { availableParallelism } from 'node:os';
import { Flags } from '@oclif/core';
import {
  FORMAT_NAMES,
  checkOutput,
  writeAtomically,
  type DiffOptions,
  type Run,
  type RunSettings,
  type TaskRecord,
} from '../../index';
import { progressView, type ProgressMode } from '../../report/progress';
import { chromeTrace } from '../../report/trace';
import { BaseCommand } from './base-command';
import { byteCount } from './bytes';
import { MODULE_FLAGS } from './module-flags';
import { argument } from './argument';

/** ORIG and PATCHED, in every command that takes a pair. */
export const PAIR_ARGS = {
  orig: argument({ name: 'ORIG', description: "vmlinux.o (or a module's .o) as shipped", required: true }),
  patched: argument({ name: 'PATCHED', description: 'the same object with the fix', required: true }),
};

/** In every command that pairs symbols. */
export const TWIN_FLAG = {
  twin: Flags.string({
    description: 'declare a pair where evidence stops; unit:name where a name repeats',
    helpValue: 'ORIGNAME=PATCHEDNAME',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

/** In every command that tells what changed. */
export const PATCH_FLAG = {
  patch: Flags.string({
    description:
      'what changed ORIG into PATCHED: each change is tied to its hunk, and those that no hunk explains are named',
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

export const RUN_DIR_FLAG = {
  'run-dir': Flags.string({ description: 'where results live (default: a directory in the cache)', helpValue: 'DIR' }),
};

/** In every command that tells its progress. */
export const PROGRESS_FLAG = {
  progress: Flags.string({
    description: 'how to show progress on stderr',
    options: ['auto', 'tree', 'lines', 'json', 'none'],
    default: 'auto',
  }),
};

/** Flags of every command that runs stages. */
export const RUN_FLAGS = {
  ...RUN_DIR_FLAG,
  fresh: Flags.boolean({ description: 'ignore what the run directory holds' }),
  workers: Flags.integer({ description: 'threads (default: one a core)', helpValue: 'N', min: 1, max: 256 }),
  memory: Flags.string({
    description: 'most memory to use (512M, 2G): fewer threads, or a refusal',
    helpValue: 'SIZE',
  }),
  ...PROGRESS_FLAG,
  'trace-out': Flags.string({ description: 'write a Chrome trace of the run', helpValue: 'FILE' }),
  btf: Flags.string({
    description:
      'kernel types, for entry sizes of special sections and fields of variables that differ: raw BTF or an ELF with .BTF',
    helpValue: 'FILE',
  }),
};

/** What a livepatch is made from besides the pair. */
export const KERNEL_FLAGS = {
  symvers: Flags.string({ description: 'Module.symvers of the original build', helpValue: 'FILE' }),
  vmlinux: Flags.string({
    description:
      'the running kernel: its image (vmlinuz), a linked vmlinux, or text from /proc/kallsyms, System.map or readelf -sW',
    helpValue: 'FILE',
  }),
  plain: Flags.string({
    description:
      'ORIG compiled as the kernel is, without -ffunction-sections: proves by whole sections that it is what runs',
    helpValue: 'FILE',
  }),
  'module-image': Flags.string({
    description:
      'the shipped file (.ko, .ko.xz, .ko.zst, .ko.gz) of a module that is compared (default: that of /lib/modules beside the image)',
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

export const OUTPUT_FLAGS = {
  output: Flags.string({
    char: 'o',
    description:
      'write the livepatch object or module (of two folders, with --format kpatch, a folder); without it, only the report',
    helpValue: 'FILE',
  }),
  format: Flags.string({
    description:
      'klp: an object as objtool klp diff writes it; kpatch: as create-diff-object does; ko: the finished module (default: ko for *.ko, else klp)',
    options: FORMAT_NAMES,
  }),
  'klp-arch': Flags.boolean({
    description: 'with --format kpatch: the kernel supports .klp.arch sections (before 5.8)',
  }),
  ...KERNEL_FLAGS,
  ...MODULE_FLAGS,
};

export const DIFF_FLAGS = {
  ...RUN_FLAGS,
  ...TWIN_FLAG,
  ...PATCH_FLAG,
  ftrace: Flags.string({
    description: 'available_filter_functions of the running kernel (default: what ORIG says)',
    helpValue: 'FILE',
  }),
  module: Flags.string({
    description: 'name of the patched object, if it is a module (default: what its .modinfo says, else vmlinux)',
    helpValue: 'NAME',
  }),
  allow: Flags.string({
    description: 'turn a refusal into a warning, if its code allows it',
    helpValue: 'CODE[:SYMBOL]',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

/** Flags of what is compared, as options. */
export function comparisonOf(flags: {
  twin?: string[] | undefined;
  module?: string | undefined;
  ftrace?: string | undefined;
  allow?: string[] | undefined;
  symvers?: string | undefined;
  vmlinux?: string | undefined;
  'module-image'?: string[] | undefined;
  plain?: string | undefined;
  patch?: string[] | undefined;
}): Omit<DiffOptions, 'orig' | 'patched'> {
  const { twin: twins, module, ftrace, allow, symvers, vmlinux, 'module-image': moduleImages, plain, patch } = flags;
  return { twins, module, ftrace, allow, symvers, vmlinux, moduleImages, plain, patches: patch };
}

interface RunFlags {
  'run-dir'?: string | undefined;
  fresh: boolean;
  workers?: number | undefined;
  memory?: string | undefined;
  progress: string;
  'trace-out'?: string | undefined;
  btf?: string | undefined;
}

/** The base of commands that use a run directory. */
export abstract class RunCommand extends BaseCommand {
  /** Calls `work` with the options that flags and arguments say, and what tells of work in between; the first Ctrl-C lets it drain, the second ends the process. */
  protected async running<T>(
    flags: RunFlags,
    work: (options: RunSettings, note: (text: string) => void) => Run<T>,
  ): Promise<T> {
    const { 'trace-out': traceFile, ...others } = flags;
    if (traceFile !== undefined)
      checkOutput(
        traceFile,
        Object.values(others).filter((value) => typeof value === 'string'),
      );
    const stop = new AbortController();
    const view = progressView(flags.progress as ProgressMode, process.stderr, flags.workers ?? availableParallelism());
    const interrupt = (): void => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort();
      view.interrupted('interrupted: finishing the tasks under way (interrupt again to stop at once)');
    };
    process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
    let traced: readonly TaskRecord[] = [];
    try {
      const run = work(
        {
          runDir: flags['run-dir'],
          workers: flags.workers,
          memory: flags.memory === undefined ? undefined : byteCount('--memory', flags.memory),
          fresh: flags.fresh,
          btf: flags.btf,
          signal: stop.signal,
          // All of the process's life counts, its start too.
          startedAt: 0,
          note: view.note,
          trace: (tasks) => (traced = tasks),
        },
        view.note,
      );
      run.progress.subscribe((event) => view.show(event));
      const result = await run;
      if (traceFile !== undefined) await writeAtomically(traceFile, [Buffer.from(chromeTrace(traced))]);
      return result;
    } finally {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      view.end();
    }
  }
}
