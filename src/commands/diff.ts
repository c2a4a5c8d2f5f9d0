import { Flags } from '@oclif/core';
import { KlpflowError, diff, type DiffResult, type OutputFormat } from '../index';
import { renderDiff } from '../report/text';
import { moduleOptions } from './support/module-flags';
import { DIFF_FLAGS, OUTPUT_FLAGS, PAIR_ARGS, RunCommand, comparisonOf } from './support/run-command';

/** Exit codes of the contract, by verdict. */
export const EXIT = { patchable: 0, refused: 2, unchanged: 3 } as const;

export default class Diff extends RunCommand {
  static override summary = 'find what changed between two kernel objects, and whether it can be livepatched';
  static override description =
    'Compares ORIG and PATCHED symbol by symbol: two objects, or two folders, of which -o FILE.ko makes one livepatch of vmlinux.o and all modules that changed. Results are kept in the run directory: a run that was stopped goes on where it was, and the scan of ORIG serves every later patch. Exit codes: 0 functions differ, 2 refused, 3 nothing changed, 1 error, 130 interrupted. schemas/diff.schema.json in the package describes what --json prints.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> orig/vmlinux.o patched/vmlinux.o',
    '<%= config.bin %> <%= command.id %> orig/vmlinux.o patched/vmlinux.o --json',
    '<%= config.bin %> <%= command.id %> orig/vmlinux.o patched/vmlinux.o --allow sealed-endbr:get_avenrun',
    '<%= config.bin %> <%= command.id %> orig patched -o fix.ko --symvers Module.symvers --btf vmlinux.btf',
    '<%= config.bin %> <%= command.id %> a b --format kpatch -o out --symvers Module.symvers --vmlinux symtab',
  ];
  static override enableJsonFlag = true;
  static override args = PAIR_ARGS;
  static override flags = {
    ...DIFF_FLAGS,
    ...OUTPUT_FLAGS,
    also: Flags.string({
      description: "a further pair for the same livepatch: a module's object of both builds",
      helpValue: 'ORIG=PATCHED',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<DiffResult> {
    const { args, flags } = await this.parse(Diff);
    const result = await this.running({ ...args, ...flags }, (options) =>
      diff({
        ...options,
        ...args,
        ...comparisonOf(flags),
        ...moduleOptions(flags),
        also: (flags.also ?? []).map(pairOf),
        output: flags.output,
        format: flags.format as OutputFormat | undefined,
        klpArch: flags['klp-arch'],
      }),
    );
    this.log(renderDiff(result, { ...args, ...flags, runDir: flags['run-dir'] }));
    process.exitCode = EXIT[result.verdict];
    return result;
  }
}

/** @throws KlpflowError `usage` */
function pairOf(text: string): { orig: string; patched: string } {
  const [orig = '', patched = '', ...more] = text.split('=');
  if (orig === '' || patched === '' || more.length > 0)
    throw new KlpflowError('usage', `--also ${text}: give ORIG=PATCHED, the objects of both builds`);
  return { orig, patched };
}
