import { postLinkModule } from '../../../index';
import { ObjtoolCommand } from '../../support/objtool-command';
import { argument } from '../../support/argument';

export default class ObjtoolKlpPostLink extends ObjtoolCommand {
  static override summary = 'finish a livepatch module that klp-build linked, as objtool does';
  static override description =
    "Turns the records of __klp_relocs.OBJECT into relocations that the livepatch core applies (.klp.rela.OBJECT.SECTION). The file is replaced in one step. Exit codes are objtool's: 0 done, 255 error.";
  static override examples = ['<%= config.bin %> <%= command.id %> livepatch-fix.ko'];
  static override args = {
    file: argument({ name: 'FILE', description: 'the linked module (FILE.ko)', required: true }),
  };
  protected override readonly usageCode = 255;

  async run(): Promise<void> {
    const { args } = await this.parse(ObjtoolKlpPostLink);
    this.objectName = args.file;
    await postLinkModule(args.file);
  }
}
