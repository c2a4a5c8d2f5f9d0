import { Flags } from '@oclif/core';
import { objtoolDiff, type DiffResult } from '../../../index';
import { ObjtoolCommand } from '../../support/objtool-command';
import { argument } from '../../support/argument';

export default class ObjtoolKlpDiff extends ObjtoolCommand {
  static override summary = 'write the livepatch object of two objects, as objtool does';
  static override description =
    "Writes OUT as klpflow diff -o OUT --format klp does, with the Module.symvers of the working directory or of the nearest one above it, and with vmlinux from beside vmlinux.o. Both objects must have checksums (objtool klp checksum). OUT is there afterwards only if something changed and nothing was refused. Exit codes are objtool's: 0 done or nothing changed, 129 usage, 255 refused or error.";
  static override examples = ['<%= config.bin %> <%= command.id %> vmlinux.o patched/vmlinux.o diff/vmlinux.o'];
  static override args = {
    orig: argument({
      name: 'ORIG',
      description: "vmlinux.o (or a module's .o) of the original build",
      required: true,
    }),
    patched: argument({ name: 'PATCHED', description: 'the same object of the patched build', required: true }),
    out: argument({ name: 'OUT', description: 'the livepatch object to write', required: true }),
  };
  static override flags = {
    'without-checksums': Flags.boolean({ description: 'the objects need not have checksums: none are read' }),
    debug: Flags.boolean({ char: 'd', description: 'all debug output' }),
    'debug-correlate': Flags.boolean({ description: 'tell on stderr what changed functions were paired by' }),
    'debug-clone': Flags.boolean({ description: 'tell on stderr where each klp symbol was found' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ObjtoolKlpDiff);
    this.objectName = args.orig;
    const result = await this.running({ fresh: false, progress: 'none' }, (options) =>
      objtoolDiff({ ...options, ...args, withoutChecksums: flags['without-checksums'] }),
    );
    for (const { functions } of result.objects) {
      for (const { name } of functions.new) this.log(`${args.orig}: new function: ${name}`);
      for (const { name, patchedName } of functions.changed)
        this.log(`${args.orig}: changed function: ${patchedName ?? name}`);
      for (const { name } of functions.carried) this.log(`${args.orig}: changed function: ${name}`);
    }
    if (flags.debug || flags['debug-correlate']) this.reportPairs(result);
    if (flags.debug || flags['debug-clone']) this.reportSymbols(result);
    for (const entry of result.diagnostics) if (entry.severity !== 'note') this.tell(entry);
    process.exitCode = result.verdict === 'refused' ? 255 : 0;
  }

  private reportPairs({ objects }: DiffResult): void {
    for (const { functions } of objects) {
      for (const { name, patchedName, pairedBy } of functions.changed)
        this.reportDebug(`correlate: ${name} -> ${patchedName ?? name} (${pairedBy.rule}: ${pairedBy.evidence})`);
    }
  }

  private reportSymbols({ objects }: DiffResult): void {
    for (const { name, object, sympos, evidence } of objects.flatMap(({ klpSymbols }) => klpSymbols))
      this.reportDebug(`clone: .klp.sym.${object}.${name},${sympos} (${evidence})`);
  }
}
