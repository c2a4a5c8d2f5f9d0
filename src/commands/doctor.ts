import { checkMachine, describe, type ImageDescription, type MachineCheck, type ObjectDescription } from '../index';
import { renderImage } from '../report/image';
import { renderObject } from '../report/object';
import { BaseCommand } from './support/base-command';
import { argument } from './support/argument';

export interface DoctorResult {
  schema: 'klpflow/doctor@1';
  ok: boolean;
  checks: MachineCheck[];
  image?: ImageDescription;
  object?: ObjectDescription;
}

export default class Doctor extends BaseCommand {
  static override summary = 'check this machine, or show what a kernel image or an object tells';
  static override description =
    'Looks at the Node.js version, the mmap addon (by mapping a file), the cores, the memory and the cache directory. Of a kernel image (vmlinuz, Image, linked vmlinux) it then shows what --vmlinux reads there; of an object (vmlinux.o, a module) which kernel it is of, what klpflow can do with it and what is missing. Changes nothing. Exits with 1 where a check fails.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
    '<%= config.bin %> <%= command.id %> /boot/vmlinuz-6.12.0',
    '<%= config.bin %> <%= command.id %> vmlinux.o',
  ];
  static override args = {
    file: argument({
      name: 'FILE',
      description: 'a kernel image or an object, to show what it tells',
      required: false,
    }),
  };
  static override enableJsonFlag = true;

  async run(): Promise<DoctorResult> {
    const { args } = await this.parse(Doctor);
    const checks = checkMachine();
    for (const { name, ok, finding, hint } of checks) {
      this.log(`${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(8)}  ${finding}`);
      if (hint !== undefined) this.log(`      ${' '.repeat(8)}  ${hint}`);
    }
    const ok = checks.every((check) => check.ok);
    if (!ok) process.exitCode = 1;
    const found = { schema: 'klpflow/doctor@1' as const, ok, checks };
    if (args.file === undefined) return found;
    const described = await describe(args.file);
    this.log(`\n${'object' in described ? renderObject(described.object) : renderImage(described.image)}`);
    return { ...found, ...described };
  }
}
