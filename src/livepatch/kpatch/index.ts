export { ParentExports } from './exports';
export { Messages, type Remarks } from './messages';
export type { KpatchObject } from './object';
export { openParent } from './parent-file';
export { ParentSymbols } from './parent-symbols';
export { writeKpatchObject } from './writer';
