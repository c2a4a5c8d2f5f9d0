import { status, type StatusResult } from '../index';
import { renderTrees } from '../report/trees';
import { BaseCommand } from './support/base-command';
import { RUN_DIR_FLAG } from './support/run-command';
import { argument } from './support/argument';

export default class Status extends BaseCommand {
  static override summary = 'show what the next run on these objects would reuse, or how far builds came';
  static override description =
    'Checks all records of the run directory that are of these contents. Each is usable, or says why not: absent, damaged, of another version, of another input. Without objects: the trees in which klpflow build compiled, each stage with how it ended and its log.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> orig/vmlinux.o patched/vmlinux.o',
    '<%= config.bin %> <%= command.id %> --run-dir runs',
  ];
  static override enableJsonFlag = true;
  static override args = {
    orig: argument({ name: 'ORIG', description: 'an object' }),
    patched: argument({ name: 'PATCHED', description: 'another one: outcomes of the pair are shown too' }),
  };
  static override flags = RUN_DIR_FLAG;

  async run(): Promise<StatusResult> {
    const { args, flags } = await this.parse(Status);
    const found = await status({
      runDir: flags['run-dir'],
      inputs: [args.orig, args.patched].filter((path) => path !== undefined),
    });
    this.log(`run directory ${found.runDir}${found.exists ? '' : ': does not exist yet, the next run makes it'}`);
    for (const { path, digest, reason, records } of found.inputs) {
      this.log(`${path}: ${reason}${digest === null ? '' : `\n  content ${digest}`}`);
      for (const { file, bytes, state } of records)
        this.log(`  ${state.padEnd(13)} ${String(bytes).padStart(10)}  ${file}`);
    }
    if (args.patched !== undefined)
      this.log(
        found.outcomes.length === 0 ? 'no outcome of this pair' : 'outcomes of this pair, by the options they are for:',
      );
    for (const { file, bytes, state } of found.livepatches)
      this.log(`  ${state.padEnd(13)} ${String(bytes).padStart(10)}  ${file}`);
    for (const { file, bytes, state, options } of found.outcomes)
      this.log(
        `  ${state.padEnd(13)} ${String(bytes).padStart(10)}  ${file}${options === null ? '' : `  ${JSON.stringify(options)}`}`,
      );
    if (args.orig === undefined) this.log(renderTrees(found.builds));
    return found;
  }
}
