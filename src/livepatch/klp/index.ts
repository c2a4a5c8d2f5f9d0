export { symbolChecksums, type ChecksumOptions, type Checksums, type SymbolChecksum } from './checksum';
export { CHECKSUMS, hasChecksums, withChecksums } from './checksum/section';
export { postLink } from './post-link';
export { readKlpObject } from './reader';
export { writeKlpObject } from './writer';
