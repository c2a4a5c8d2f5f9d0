import { EM_AARCH64, EM_X86_64 } from '../../elf';
import { AARCH64 } from './aarch64';
import type { ModuleProcessor } from './processor';
import { X86_64 } from './x86-64';

const PROCESSORS: ReadonlyMap<number, ModuleProcessor> = new Map([
  [EM_X86_64, X86_64],
  [EM_AARCH64, AARCH64],
]);

/** Undefined for a processor of which no modules are written. */
export function processorOf(machine: number): ModuleProcessor | undefined {
  return PROCESSORS.get(machine);
}
