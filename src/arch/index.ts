import { KlpflowError } from '../diagnostics';
import type { Arch } from './arch';
import { aarch64, loongarch64, ppc64, s390 } from './generic';
import { x86_64 } from './x86-64';

export type { Arch } from './arch';
export { lineArgument, printsValues, type Disassembler, type Instruction } from './instructions';

const ALL: readonly Arch[] = [x86_64, aarch64, ppc64, s390, loongarch64];

/** The processor of an object. @throws KlpflowError `unsupported-object` */
export function archOf(machine: number, path: string): Arch {
  const arch = ALL.find((candidate) => candidate.machine === machine);
  if (arch === undefined) throw new KlpflowError('unsupported-object', `${path}: processor ${machine} is not supported`, { object: path, offset: 18 });
  return arch;
}
