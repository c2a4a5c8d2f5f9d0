import { Flags } from '@oclif/core';
import { createKlpModule } from '../index';
import { KpatchCommand, type ArgpLine } from './support/kpatch-command';
import { argument } from './support/argument';

export default class CreateKlpModule extends KpatchCommand {
  static override summary = 'finish a patch module that kpatch-build linked, in place of create-klp-module';
  static override description =
    "Turns the records of create-diff-object into klp symbols and relocations that the livepatch core applies. Where .klp.arch sections are made, PARA_STRUCT_SIZE in the environment says how long an entry of .parainstructions is. Exit codes are create-klp-module's: 0 written, 1 error, 64 wrong command line.";
  static override examples = ['<%= config.bin %> <%= command.id %> --no-klp-arch-sections test.ko livepatch-fix.ko'];
  static override args = {
    input: argument({ name: 'INPUT.ko', description: 'the linked module' }),
    output: argument({ name: 'OUTPUT.ko', description: 'the module to write' }),
  };
  static override flags = {
    debug: Flags.boolean({ char: 'd', description: 'accepted; there is nothing more to tell' }),
    'no-klp-arch-sections': Flags.boolean({
      char: 'n',
      description: 'the kernel applies klp relocations first (5.8 and newer)',
    }),
  };
  protected override readonly program = 'create-klp-module';
  protected override readonly letters = { debug: 'd', 'no-klp-arch-sections': 'n' };
  protected override readonly usage = 'INPUT.ko OUTPUT.ko';
  protected override readonly positionalCount = 2;

  protected override async execute({ options, positionals }: ArgpLine): Promise<number> {
    const [input, output] = positionals as [string, string];
    await createKlpModule({
      input,
      output,
      archSections: !options.has('no-klp-arch-sections'),
      environment: process.env,
    });
    return 0;
  }
}
