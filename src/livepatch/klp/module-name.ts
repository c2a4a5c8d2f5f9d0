import type { ElfObject } from '../../elf';
import { moduleInfo } from '../modinfo';
import { runtimeName } from '../symvers';

/** The name under which the kernel knows an object: `name=` of its `.modinfo`, else its file's name without suffix (`vmlinux` for vmlinux.o). */
export function moduleName(elf: ElfObject): string {
  return moduleInfo(elf).name ?? runtimeName(elf.path);
}
