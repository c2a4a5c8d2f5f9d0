import type { ElfObject } from '../../elf';
import { runtimeName } from '../symvers';
import { MODINFO } from './layout';

/** The name under which the kernel knows an object: `name=` of its `.modinfo`, else its file's name without suffix (`vmlinux` for vmlinux.o). */
export function moduleName(elf: ElfObject): string {
  for (let i = 1; i < elf.sectionCount; i++) {
    if (elf.name(i) !== MODINFO) continue;
    const named = elf.content(i).length === 0 ? undefined : Buffer.from(elf.content(i)).toString('latin1').split('\0').find((text) => text.startsWith('name='));
    if (named !== undefined) return runtimeName(named.slice('name='.length));
  }
  return runtimeName(elf.path);
}
