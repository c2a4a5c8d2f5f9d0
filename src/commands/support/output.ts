import { KlpflowError, type OutputRequest } from '../../index';

interface OutputFlags {
  output?: string | undefined;
  format?: string | undefined;
  symvers?: string | undefined;
  vmlinux?: string | undefined;
}

/** The livepatch that flags ask for; nothing where they ask for a report only. @throws KlpflowError `usage` */
export function outputOf({ output, format, symvers, vmlinux }: OutputFlags): { output?: OutputRequest } {
  if (output === undefined) {
    if (format !== undefined) throw new KlpflowError('usage', `--format ${format}: say with -o FILE where the livepatch goes`);
    return {};
  }
  if (output === '') throw new KlpflowError('usage', '-o: the name is empty');
  if (symvers === undefined) throw new KlpflowError('usage', `-o ${output}: --symvers FILE is needed, the Module.symvers of the original build: it says what the kernel exports to modules`);
  return { output: { path: output, format: (format ?? (output.endsWith('.ko') ? 'ko' : 'klp')) as OutputRequest['format'], symvers, vmlinux } };
}
