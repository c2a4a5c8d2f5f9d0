export * from './constants';
export * from './words';
export { ElfObject } from './object';
export { MappedFile, fileIdentity, sameIdentity, type FileIdentity } from './mapped-file';
