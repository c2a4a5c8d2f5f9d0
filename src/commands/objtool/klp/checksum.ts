import { Flags } from '@oclif/core';
import { addChecksums, type DiagnosticCode } from '../../../index';
import { ObjtoolCommand } from '../../support/objtool-command';
import { argument } from '../../support/argument';

const FILE_ERRORS: ReadonlySet<DiagnosticCode> = new Set([
  'unreadable',
  'not-regular-file',
  'not-elf',
  'not-relocatable',
  'no-space',
  'write-failed',
]);

export default class ObjtoolKlpChecksum extends ObjtoolCommand {
  static override summary = 'add checksums of functions and objects to an object, as objtool does';
  static override description =
    "Adds the section .discard.sym_checksum, which objtool klp diff compares. Values are those of objtool 7.2, but for code that refers to strings of 2- or 4-byte characters, of which objtool hashes one byte. The file is replaced in one step. Exit codes are objtool's: 0 done, 1 unreadable file, 129 usage, 255 error.";
  static override examples = [
    '<%= config.bin %> <%= command.id %> vmlinux.o',
    '<%= config.bin %> <%= command.id %> --dry-run --debug-checksum=vfs_read vmlinux.o',
  ];
  static override args = {
    file: argument({ name: 'FILE', description: "vmlinux.o, or a module's .o", required: true }),
  };
  static override flags = {
    'without-checksums': Flags.boolean({
      description: 'store none: for klpflow objtool klp diff --without-checksums, as klpflow wrappers calls both',
    }),
    'dry-run': Flags.boolean({ description: 'do not write modifications' }),
    'debug-checksum': Flags.string({
      description: 'tell on stderr how the checksums of these symbols come about',
      helpValue: 'SYM[,SYM...]',
    }),
  };

  /** objtool ends with 1 where it cannot open or write the file. */
  protected override statusOf(code: DiagnosticCode): number {
    return FILE_ERRORS.has(code) ? 1 : super.statusOf(code);
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ObjtoolKlpChecksum);
    this.objectName = args.file;
    await addChecksums({
      path: args.file,
      dryRun: flags['dry-run'],
      withoutChecksums: flags['without-checksums'],
      debug: (flags['debug-checksum'] ?? '').split(',').filter((name) => name !== ''),
      tell: (line) => this.reportDebug(`checksum: ${line}`),
      warn: (message) => this.warning(message),
    });
  }
}
