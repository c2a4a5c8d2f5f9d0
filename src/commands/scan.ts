import { scan, type ScanResult } from '../index';
import { renderRun } from '../report/text';
import { RUN_FLAGS, RunCommand } from './support/run-command';
import { argument } from './support/argument';

export default class Scan extends RunCommand {
  static override summary = 'read one object into the run directory: symbol columns and content digests';
  static override description =
    'The first stage of `diff`, on its own: a kernel that will be patched often can be scanned when it is built.';
  static override examples = ['<%= config.bin %> <%= command.id %> orig/vmlinux.o'];
  static override enableJsonFlag = true;
  static override args = {
    object: argument({ name: 'OBJECT', description: "vmlinux.o, or a module's .o", required: true }),
  };
  static override flags = RUN_FLAGS;

  async run(): Promise<ScanResult> {
    const { args, flags } = await this.parse(Scan);
    const result = await this.running({ ...args, ...flags }, (options) => scan({ ...options, object: args.object }));
    const { object } = result;
    this.log(`${object.path}: ${object.symbols} symbols, ${object.sections} sections, ${object.bytes} bytes`);
    this.log(`content ${object.digest}`);
    for (const { section, bytes } of result.unknownEntrySizes)
      this.log(`no known entry size fits the ${bytes} bytes of ${section}`);
    this.log(renderRun(result.run));
    return result;
  }
}
