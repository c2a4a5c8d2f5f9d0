export { ParentExports } from './exports';
export { klpModule, type KlpModuleOptions } from './klp-module';
export { Messages, childName, type Remarks } from './messages';
export type { KpatchObject } from './object';
export { openParent } from './parent-file';
export { ParentSymbols } from './parent-symbols';
export { STRUCT_SIZES, structSizesFrom } from './struct-sizes';
export { writeKpatchObject } from './writer';
