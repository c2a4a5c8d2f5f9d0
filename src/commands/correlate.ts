import { correlate, type CorrelateResult } from '../index';
import { renderRun } from '../report/text';
import { PAIR_ARGS, RUN_FLAGS, RunCommand, TWIN_FLAG } from './support/run-command';

export default class Correlate extends RunCommand {
  static override summary = 'pair the symbols of two objects and count the rules that paired them';
  static override examples = ['<%= config.bin %> <%= command.id %> orig/vmlinux.o patched/vmlinux.o'];
  static override enableJsonFlag = true;
  static override args = PAIR_ARGS;
  static override flags = { ...RUN_FLAGS, ...TWIN_FLAG };

  async run(): Promise<CorrelateResult> {
    const { args, flags } = await this.parse(Correlate);
    const result = await this.running({ ...args, ...flags }, (options) =>
      correlate({ ...options, ...args, twins: flags.twin }),
    );
    for (const [rule, count] of Object.entries(result.paired))
      this.log(`${String(count).padStart(9)}  paired by ${rule}`);
    this.log(`${String(result.ambiguous).padStart(9)}  groups that nothing tells apart`);
    this.log(`${String(result.candidates).padStart(9)}  pairs that may differ`);
    if (result.units.removed + result.units.added > 0)
      this.log(`units without a counterpart: ${result.units.removed} in ORIG, ${result.units.added} in PATCHED`);
    for (const { orig, patched } of result.twins ?? []) this.log(`declared: ${orig} is ${patched}`);
    this.log(renderRun(result.run));
    return result;
  }
}
