import { STT_FUNC } from '../elf';
import { Module, isPrefixName } from './module';
import { entryTypes } from './type-hash';
import type { TemplateFacts } from './context';

export const THIS_MODULE = '.gnu.linkonce.this_module';

/** @throws KlpflowError as `Module.open` */
export function readTemplate(path: string): TemplateFacts {
  const module = Module.open(path);
  const info = module.modinfo();
  const thisModule = module.section(THIS_MODULE);
  const pointer = (name: string): number | undefined =>
    thisModule && module.relasOf(thisModule).find(({ symbol }) => symbol.name === name)?.offset;
  return {
    path,
    vermagic: info.find(({ key }) => key === 'vermagic')?.value,
    retpoline: info.some(({ key, value }) => key === 'retpoline' && value === 'Y'),
    thisModule:
      thisModule === undefined
        ? undefined
        : { size: thisModule.size, init: pointer('init_module'), exit: pointer('cleanup_module') },
    versioned: module.section('__versions') !== undefined || module.section('__version_ext_names') !== undefined,
    prefix: prefixBytes(module),
    unwind: module.section('.orc_unwind') !== undefined,
    types: entryTypes(module),
  };
}

/** Bytes of padding before functions, by the symbols that stand over them; 0 where there are none. */
export function prefixBytes(module: Module): number {
  return module.symbols.find(({ name, type, size }) => type === STT_FUNC && size > 0 && isPrefixName(name))?.size ?? 0;
}
