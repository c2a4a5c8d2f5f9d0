import { Flags } from '@oclif/core';
import { link, type LinkResult } from '../index';
import { renderLink } from '../report/text';
import { BaseCommand } from './support/base-command';
import { MODULE_FLAGS, moduleOptions } from './support/module-flags';
import { argument } from './support/argument';

export default class Link extends BaseCommand {
  static override summary = 'make a livepatch module of objects that diff wrote';
  static override description =
    'Joins one or more livepatch objects, for vmlinux and for modules, into a module that the kernel loads as it is: no kernel tree, compiler or linker is needed. The image of the kernel (--vmlinux) tells what it exports and how it lays out its structs; without it --symvers, and --btf or --template, do. Exit codes: 0 written, 2 refused, 1 error.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fix.o -o fix.ko --vmlinux /boot/vmlinuz-6.12.117',
    '<%= config.bin %> <%= command.id %> fix.o -o fix.ko --symvers Module.symvers --btf vmlinux.btf',
    '<%= config.bin %> <%= command.id %> fix.o ext4.o -o fix.ko --symvers Module.symvers --template ext4.ko',
  ];
  static override enableJsonFlag = true;
  static override strict = false;
  static override args = {
    object: argument({
      name: 'OBJECT',
      description: 'a livepatch object (diff -o FILE.o); several may follow',
      required: true,
    }),
  };
  static override flags = {
    output: Flags.string({ char: 'o', description: 'the module to write', helpValue: 'FILE.ko', required: true }),
    vmlinux: Flags.string({
      description: "the running kernel's image (/boot/vmlinuz-RELEASE), in place of the next two",
      helpValue: 'FILE',
    }),
    symvers: Flags.string({ description: 'Module.symvers of the original build', helpValue: 'FILE' }),
    btf: Flags.string({
      description: 'kernel types, for struct layouts: raw BTF or an ELF with .BTF',
      helpValue: 'FILE',
    }),
    ...MODULE_FLAGS,
  };

  async run(): Promise<LinkResult> {
    const { argv, flags } = await this.parse(Link);
    const { output, vmlinux, symvers, btf } = flags;
    const files = { vmlinux, symvers, btf };
    const result = await link({ objects: argv as string[], output, ...files, ...moduleOptions(flags) });
    this.log(renderLink(result));
    if (result.verdict === 'refused') process.exitCode = 2;
    return result;
  }
}
