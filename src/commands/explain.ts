import { Args, Flags } from '@oclif/core';
import { explain, type Explanation } from '../index';
import { renderExplanation } from '../report/explanation';
import { RUN_FLAGS, PAIR_ARGS, RunCommand, TWIN_FLAG } from './support/run-command';

export default class Explain extends RunCommand {
  static override summary = 'show what differs of one symbol, both sides beside each other';
  static override description =
    'Aligns the instructions of both builds and shows those that differ (+ put in, - taken out, ! another one, ~ another operand) and those around them, each with what it refers to and what special sections say of it. Of a variable it shows values and users, of what one build alone has who refers to it, of what diff ignores why that does not count.';
  static override examples = ['<%= config.bin %> <%= command.id %> orig/vmlinux.o patched/vmlinux.o meminfo_proc_show'];
  static override enableJsonFlag = true;
  static override args = {
    ...PAIR_ARGS,
    symbol: Args.string({
      name: 'SYMBOL',
      description: 'a name in either object, the beginning of one, or unit:name',
      required: true,
    }),
  };
  static override flags = {
    ...RUN_FLAGS,
    ...TWIN_FLAG,
    context: Flags.integer({
      description: 'instructions to show around each difference',
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
