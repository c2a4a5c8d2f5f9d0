export { Columns } from './columns';
export { KernelListing, isElf, isReadelf, readProc, type ListingKind } from './listing';
export { cleanedLength, isLeftOut, type NameCleaning } from './kallsyms';
export { NameIndex, type Names } from './name-index';
