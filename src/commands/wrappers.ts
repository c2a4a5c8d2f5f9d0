import { join } from 'node:path';
import { wrappers, type WrappersResult } from '../index';
import { BaseCommand } from './support/base-command';
import { argument } from './support/argument';

export default class Wrappers extends BaseCommand {
  static override summary = "write programs by other tools' names that call klpflow";
  static override description =
    "For klp-build: PATH=DIR:$PATH scripts/livepatch/klp-build fix.patch. Its objtool has klpflow do the klp commands and passes all else to the kernel's own; its make puts that objtool into the tree whenever the kernel's make has linked another. For kpatch-build: DIR is the folder of its programs, /usr/lib/kpatch; create-diff-object and create-klp-module that are there are kept as NAME.real.";
  static override examples = ['<%= config.bin %> <%= command.id %> ~/klpflow-bin'];
  static override enableJsonFlag = true;
  static override args = {
    folder: argument({
      name: 'DIR',
      description: 'the folder to write them into; made where it is missing',
      required: true,
    }),
  };

  async run(): Promise<WrappersResult> {
    const { args } = await this.parse(Wrappers);
    const result = wrappers({
      folder: args.folder,
      klpflow: [process.execPath, join(this.config.root, 'dist/main.js')],
    });
    for (const { path, kept } of result.wrappers) this.log(kept === null ? path : `${path} (what was there: ${kept})`);
    return result;
  }
}
