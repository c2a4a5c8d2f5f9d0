export { PRODUCER, makeFolder, openRecords, readRecords, writeRecords, type Miss, type RecordPlace } from './file';
export { contentDigest, loadHash } from './hash';
export { keepLinks, writeKept, type KeptFile } from './kept-file';
export { decodeShape, decodeTable, encodeTable, type TableColumns } from './table';
export {
  decodeDigests,
  decodeInput,
  decodeLivepatch,
  decodeOutcome,
  decodeSpecial,
  encodeDigests,
  encodeInput,
  encodeLivepatch,
  encodeOutcome,
  encodeSpecial,
  type DigestRecord,
  type InputRecord,
  type LivepatchRecord,
  type OutcomeRecord,
  type SpecialRecord,
} from './shards';
export { threadCpuMs } from './thread-cpu';
