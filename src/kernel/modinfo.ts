import type { ElfFile } from '../elf';
import { runtimeName } from './symvers';

const MODINFO = '.modinfo';
const SECTION = Buffer.from(`${MODINFO}\0`, 'latin1');

/** Whose object a file is, as its `.modinfo` says. */
export interface ModuleInfo {
  /** Whether it is a module's: what is built in writes `name.license=GPL`, a module `license=GPL`. */
  module: boolean;
  /** Its run-time name, where it says that (`name=`): the last step of a module's build adds it. */
  name: string | null;
}

/** Reads `.modinfo`. Names are compared as bytes: a kernel has 200,000 sections. @throws KlpflowError `malformed-elf` */
export function moduleInfo(file: ElfFile): ModuleInfo {
  const info: ModuleInfo = { module: false, name: null };
  for (let section = 1; section < file.sectionCount; section++) {
    if (!isModinfo(file, section)) continue;
    for (const entry of Buffer.from(file.content(section)).toString('latin1').split('\0')) {
      if (entry.startsWith('license=') || entry.startsWith('name=')) info.module = true;
      if (entry.startsWith('name=')) info.name ??= runtimeName(entry.slice('name='.length));
    }
  }
  return info;
}

function isModinfo(file: ElfFile, section: number): boolean {
  const at = file.nameOffset(section);
  for (let i = 0; i < SECTION.length; i++) if (file.bytes[at + i] !== SECTION[i]) return false;
  return true;
}
