import { Flags } from '@oclif/core';
import { verify, type VerifyResult } from '../index';
import { progressView, type ProgressMode } from '../report/progress';
import { isComplete, renderVerification } from '../report/verify';
import { BaseCommand } from './support/base-command';
import { PROGRESS_FLAG } from './support/run-command';
import { argument } from './support/argument';

export default class Verify extends BaseCommand {
  static override summary = 'check a finished livepatch module';
  static override description =
    'Reads the module as the kernel would and reports, in one run, all that would keep it from loading or working: ELF form, klp symbols and relocations, klp_patch, special sections, unwind data, symbol versions. ' +
    'What cannot be checked for want of a file is a note, and the verdict then INCOMPLETE. Changes nothing. Exit codes: 0 nothing found, 2 something found (with --strict also what was not checked), 1 error.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> livepatch-fix.ko',
    '<%= config.bin %> <%= command.id %> livepatch-fix.ko --vmlinux /boot/vmlinuz-6.12.0',
    '<%= config.bin %> <%= command.id %> livepatch-fix.ko --vmlinux vmlinux --object patched.o',
  ];
  static override enableJsonFlag = true;
  static override args = { module: argument({ name: 'FILE.ko', description: 'the module', required: true }) };
  static override flags = {
    vmlinux: Flags.string({
      description:
        'the running kernel: its image (vmlinuz), a linked vmlinux, or text from /proc/kallsyms, System.map or readelf -sW',
      helpValue: 'FILE',
    }),
    'module-image': Flags.string({
      description: 'the shipped file of a module that is patched (.ko, .ko.xz, .ko.zst, .ko.gz)',
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    symvers: Flags.string({ description: "Module.symvers of the kernel's build", helpValue: 'FILE' }),
    btf: Flags.string({ description: 'kernel types: raw BTF or an ELF with .BTF', helpValue: 'FILE' }),
    template: Flags.string({ description: 'any module of the running kernel', helpValue: 'FILE.ko' }),
    strict: Flags.boolean({
      description: 'exit code 2 for INCOMPLETE, too: where a file is missing that something is checked with',
    }),
    object: Flags.string({
      description: 'an object with the fix that the module was made from: its code and entries are compared',
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    ...PROGRESS_FLAG,
  };

  async run(): Promise<VerifyResult> {
    const { args, flags } = await this.parse(Verify);
    const { object: objects, 'module-image': moduleImages, vmlinux, symvers, btf, template } = flags;
    const { module } = args;
    const view = progressView(flags.progress as ProgressMode, process.stderr, 1);
    // All of the process's life counts.
    const run = verify({ module, objects, moduleImages, vmlinux, symvers, btf, template, startedAt: 0 });
    run.progress.subscribe((event) => view.show(event));
    const result = await run.finally(() => view.end());
    this.log(renderVerification(result));
    if (!result.ok || (flags.strict && !isComplete(result))) process.exitCode = 2;
    return result;
  }
}
