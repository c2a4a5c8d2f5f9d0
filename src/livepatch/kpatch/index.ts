export { ParentExports } from './exports';
export { Messages, childName, type Remarks } from './messages';
export type { KpatchObject } from './object';
export { openParent } from './parent-file';
export { ParentSymbols } from './parent-symbols';
export { writeKpatchObject } from './writer';
