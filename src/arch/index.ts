import { machineName } from '../elf/machines';
import { KlpflowError } from '../diagnostics';
import { aarch64 } from './aarch64';
import type { Arch } from './arch';
import { loongarch64 } from './loongarch64';
import type { ModuleRules } from './module-rules';
import { ppc64 } from './ppc64';
import { s390 } from './s390';
import { x86_64 } from './x86-64';

export type { Arch, CodeRela, FunctionCode, PointerMade } from './arch';
export type { ModuleRules } from './module-rules';
export { ZEROS, type Filling } from './filling';
export { FRAME_SLOTS, STACK_SLOTS, type Step, type Term } from './flow';
export { lineArgument, printsValues } from './line-arguments';
export { wordAt } from './plain';
export type { ConstantArgument, Disassembler, Instruction } from './instructions';
export type { Access, Callee, Kept } from './addresses';

const ALL: readonly Arch[] = [x86_64, aarch64, ppc64, s390, loongarch64];

/** The processor of an object. @throws KlpflowError `unsupported-object` */
export function archOf(machine: number, path: string): Arch {
  const arch = ALL.find((candidate) => candidate.machine === machine);
  if (arch === undefined)
    throw new KlpflowError('unsupported-object', `${path}: ${machineName(machine)} is not supported`, {
      object: path,
      offset: 18,
    });
  return arch;
}

/** What the module loader of a processor does. @throws KlpflowError `unsupported-object` for one of which no livepatch modules are made */
export function modulesOf(machine: number, path: string): ModuleRules {
  const rules = archOf(machine, path).modules;
  if (rules === null)
    throw new KlpflowError(
      'unsupported-object',
      `${path}: livepatch modules are written for ${writable()}, not for ${machineName(machine)}`,
      { object: path, offset: 18 },
    );
  return rules;
}

/** Whether objtool makes livepatches of a processor's objects (klp-build). */
export function hasKlpBuild(machine: number): boolean {
  return ALL.some((arch) => arch.machine === machine && arch.modules?.klpBuild === true);
}

/** The processors whose modules are written, in words. */
export function writable(): string {
  return ALL.filter(({ modules }) => modules !== null)
    .map(({ name }) => name)
    .join(' and ');
}
