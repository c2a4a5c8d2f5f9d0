import { Args, Flags } from '@oclif/core';
import { explain, type Explanation } from '../index';
import { renderExplanation } from '../report/text';
import { RUN_FLAGS, PAIR_ARGS, RunCommand, TWIN_FLAG } from './support/run-command';

export default class Explain extends RunCommand {
  static override summary = 'show where one symbol differs, both sides disassembled';
  static override description =
    'Shows the instructions around the first difference, each with what it refers to, and what told that the two are one function.';
  static override examples = ['<%= config.bin %> <%= command.id %> orig/vmlinux.o patched/vmlinux.o meminfo_proc_show'];
  static override enableJsonFlag = true;
  static override args = {
    ...PAIR_ARGS,
    symbol: Args.string({
      name: 'SYMBOL',
      description: 'full ELF name in either object, or unit:name',
      required: true,
    }),
  };
  static override flags = {
    ...RUN_FLAGS,
    ...TWIN_FLAG,
    context: Flags.integer({
      description: 'instructions to show on each side of the difference',
      helpValue: 'N',
      default: 6,
      min: 0,
      max: 10_000,
    }),
  };

  async run(): Promise<Explanation & { schema: 'klpflow/explain@1' }> {
    const { args, flags } = await this.parse(Explain);
    const explanation = await this.running({ ...args, ...flags }, (options) =>
      explain({ ...options, ...args, ...this.twinsOf(flags), context: flags.context }),
    );
    this.log(renderExplanation(explanation));
    return { schema: 'klpflow/explain@1', ...explanation };
  }
}
