import { Flags } from '@oclif/core';
import { nearest } from '../diagnostics/nearest';
import { diagnosticPage, type DiagnosticPage } from '../diagnostics/page';
import { CATALOGUE, KlpflowError, explain, explainIr, type Explained, type IrExplanation } from '../index';
import { renderPage } from '../report/diagnostic-page';
import { renderExplanation } from '../report/explanation';
import { renderIr } from '../report/ir';
import { PATCH_FLAG, RUN_FLAGS, RunCommand, TWIN_FLAG } from './support/run-command';
import { argument } from './support/argument';

export type ExplainResult =
  | (Explained & { schema: 'klpflow/explain@1' })
  | (IrExplanation & { schema: 'klpflow/explain-ir@1' })
  | (DiagnosticPage & { schema: 'klpflow/diagnostic@1' });

export default class Explain extends RunCommand {
  static override summary = 'show what differs of one symbol, or what a diagnostic means';
  static override description =
    'Aligns the instructions of both builds and shows those that differ (+ put in, - taken out, ! another one, ~ another operand) and those around them, each with what it refers to and what special sections say of it. Of a variable it shows values and users, of what one build alone has who refers to it, of what diff ignores why that does not count. With the code of a diagnostic alone: its cause, an example and the remedy.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> orig/vmlinux.o patched/vmlinux.o meminfo_proc_show',
    '<%= config.bin %> <%= command.id %> orig/fs/read_write.o patched/fs/read_write.o vfs_read --ir',
    '<%= config.bin %> <%= command.id %> changed-data',
  ];
  static override enableJsonFlag = true;
  static override args = {
    orig: argument({
      name: 'ORIG',
      description: 'as shipped: an object or a folder; or the code of a diagnostic',
      required: true,
    }),
    patched: argument({ name: 'PATCHED', description: 'the same with the fix' }),
    symbol: argument({ name: 'SYMBOL', description: 'a name in either object, the beginning of one, or unit:name' }),
  };
  static override flags = {
    ...RUN_FLAGS,
    ...TWIN_FLAG,
    ...PATCH_FLAG,
    ir: Flags.boolean({
      description: "ORIG and PATCHED are LLVM bitcode (a unit's .o under LTO): the IR of one function, aligned",
    }),
    context: Flags.integer({
      description: 'instructions to show around each difference',
      helpValue: 'N',
      default: 6,
      min: 0,
      max: 10_000,
    }),
  };

  async run(): Promise<ExplainResult> {
    const { args, flags } = await this.parse(Explain);
    const { orig, patched, symbol } = args;
    if (patched === undefined || symbol === undefined) return this.page(orig, patched);
    if (flags.ir) {
      const found = await explainIr({ orig, patched, symbol, context: flags.context });
      this.log(renderIr(found));
      return { schema: 'klpflow/explain-ir@1', ...found };
    }
    const explanation = await this.running({ ...args, ...flags }, (options) =>
      explain({ ...options, orig, patched, symbol, twins: flags.twin, patches: flags.patch, context: flags.context }),
    );
    this.log(renderExplanation(explanation));
    return { schema: 'klpflow/explain@1', ...explanation };
  }

  /** @throws KlpflowError `usage` */
  private page(code: string, patched: string | undefined): ExplainResult {
    const page = patched === undefined ? diagnosticPage(code) : undefined;
    const near = patched === undefined ? nearest(code, Object.keys(CATALOGUE)) : undefined;
    if (page === undefined)
      throw new KlpflowError(
        'usage',
        `missing ${patched === undefined ? 'PATCHED and SYMBOL' : 'SYMBOL'}${patched === undefined ? `, and ${code} is no diagnostic's code${near === undefined ? '' : `, which ${near} is`}` : ''}: klpflow explain ORIG PATCHED SYMBOL, or klpflow explain CODE`,
      );
    this.log(renderPage(page));
    return { schema: 'klpflow/diagnostic@1', ...page };
  }
}
