export * from './constants';
export * from './words';
export type { Offset, SectionIndex, SymbolIndex, WordIndex } from './indices';
export { ElfFile } from './file';
export { ElfImage } from './image';
export { ElfObject } from './object';
export { plainSize } from './compressed';
export { stringEnd } from './string-end';
export { copyLoaded } from './loaded-copy';
