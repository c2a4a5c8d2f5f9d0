import type { ElfObject } from '../../elf';
import { moduleInfo } from '../../kernel/modinfo';
import { runtimeName } from '../../kernel/symvers';

/** The name under which the kernel knows an object: `name=` of its `.modinfo`, else its file's name without suffix (`vmlinux` for vmlinux.o). */
export function moduleName(elf: ElfObject): string {
  return moduleInfo(elf).name ?? runtimeName(elf.path);
}
