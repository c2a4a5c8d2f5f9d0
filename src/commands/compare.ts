import { diff, type DiffResult } from '../index';
import { renderRun } from '../report/text';
import { RUN_FLAGS, PAIR_ARGS, RunCommand, TWIN_FLAG } from './support/run-command';

export interface CompareResult {
  schema: 'klpflow/compare@1';
  /** Pairs that were declared by hand; left out where there are none. */
  twins?: DiffResult['twins'] & object;
  symbols: Array<{
    name: string;
    kind: 'function' | 'data';
    status: 'changed' | 'ignored';
    class: string;
    first: { offset: number; orig: string; patched: string } | null;
  }>;
  run: DiffResult['run'];
}

export default class Compare extends RunCommand {
  static override summary = 'list every symbol that differs, with its class and first difference';
  static override description =
    "Runs the stages up to compare and judges nothing: what a livepatch may hold is `diff`'s question. Exits with 0, or 3 where nothing differs.";
  static override examples = ['<%= config.bin %> <%= command.id %> orig/vmlinux.o patched/vmlinux.o'];
  static override enableJsonFlag = true;
  static override args = PAIR_ARGS;
  static override flags = { ...RUN_FLAGS, ...TWIN_FLAG };

  async run(): Promise<CompareResult> {
    const { args, flags } = await this.parse(Compare);
    const result = await this.running({ ...args, ...flags }, (options) =>
      diff({ ...options, ...args, twins: flags.twin }),
    );
    const symbols: CompareResult['symbols'] = [];
    for (const { functions, data } of result.objects) {
      for (const entry of functions.changed)
        symbols.push({ name: entry.name, kind: 'function', status: 'changed', class: entry.class, first: entry.first });
      for (const entry of data.changed)
        symbols.push({ name: entry.name, kind: 'data', status: 'changed', class: 'data', first: entry.first });
      for (const entry of functions.ignored)
        symbols.push({ name: entry.name, kind: 'function', status: 'ignored', class: entry.class, first: null });
      for (const entry of data.ignored)
        symbols.push({ name: entry.name, kind: 'data', status: 'ignored', class: entry.class, first: null });
    }
    for (const { name, kind, status, class: cause, first } of symbols) {
      this.log(
        `${status.padEnd(8)} ${kind.padEnd(8)} ${cause.padEnd(16)} ${name}${first === null ? '' : `  +0x${first.offset.toString(16)}: ${first.orig} -> ${first.patched}`}`,
      );
    }
    for (const { orig, patched } of result.twins ?? []) this.log(`declared: ${orig} is ${patched}`);
    if (symbols.length === 0) this.log('nothing differs');
    this.log(renderRun(result.run));
    process.exitCode = symbols.some(({ status }) => status === 'changed') ? 0 : 3;
    return {
      schema: 'klpflow/compare@1',
      ...(result.twins === undefined ? {} : { twins: result.twins }),
      symbols,
      run: result.run,
    };
  }
}
