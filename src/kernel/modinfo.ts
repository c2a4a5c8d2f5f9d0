import type { ElfFile } from '../elf';
import { runtimeName } from './symvers';

/** Whose object a file is, as its `.modinfo` says. */
export interface ModuleInfo {
  /** Whether it is a module's: what is built in writes `name.license=GPL`, a module `license=GPL`. */
  module: boolean;
  /** Its run-time name, where it says that (`name=`): the last step of a module's build adds it. */
  name: string | null;
  /** Whether it says that it is a livepatch (`livepatch=Y`). */
  livepatch: boolean;
}

/** `key=value` of `.modinfo`, the first of each key. @throws KlpflowError `malformed-elf` */
export function moduleKeys(file: ElfFile): Map<string, string> {
  const keys = new Map<string, string>();
  for (const section of file.sectionsNamed('.modinfo')) {
    for (const entry of Buffer.from(file.content(section)).toString('latin1').split('\0')) {
      const at = entry.indexOf('=');
      if (at > 0 && !keys.has(entry.slice(0, at))) keys.set(entry.slice(0, at), entry.slice(at + 1));
    }
  }
  return keys;
}

/** Reads `.modinfo`. @throws KlpflowError `malformed-elf` */
export function moduleInfo(file: ElfFile): ModuleInfo {
  const info: ModuleInfo = { module: false, name: null, livepatch: false };
  for (const section of file.sectionsNamed('.modinfo')) {
    for (const entry of Buffer.from(file.content(section)).toString('latin1').split('\0')) {
      if (entry.startsWith('license=') || entry.startsWith('name=')) info.module = true;
      if (entry === 'livepatch=Y') info.livepatch = true;
      if (entry.startsWith('name=')) info.name ??= runtimeName(entry.slice('name='.length));
    }
  }
  return info;
}
