import { Flags } from '@oclif/core';
import { diff, type DiffResult } from '../index';
import { renderDiff } from '../report/text';
import { EXIT } from './diff';
import { DIFF_FLAGS, KERNEL_FLAGS, PAIR_ARGS, RunCommand, comparisonOf } from './support/run-command';

export default class Extract extends RunCommand {
  static override summary = 'write the changed functions and all they need as a livepatch object';
  static override description =
    'Runs the stages up to extract; `link` makes a module of one or more such objects, and klp-build of Linux 6.19 and later takes them, too. Exit codes as for `diff`.';
  static override examples = ['<%= config.bin %> <%= command.id %> orig.o patched.o -o fix.o --symvers Module.symvers'];
  static override enableJsonFlag = true;
  static override args = PAIR_ARGS;
  static override flags = {
    ...DIFF_FLAGS,
    ...KERNEL_FLAGS,
    output: Flags.string({ char: 'o', description: 'the object to write', helpValue: 'FILE.o', required: true }),
  };

  async run(): Promise<DiffResult> {
    const { args, flags } = await this.parse(Extract);
    const result = await this.running({ ...args, ...flags }, (options) =>
      diff({
        ...options,
        ...args,
        ...comparisonOf(flags),
        output: flags.output,
        format: 'klp',
      }),
    );
    this.log(renderDiff(result, { ...args, ...flags, runDir: flags['run-dir'] }));
    process.exitCode = EXIT[result.verdict];
    return result;
  }
}
