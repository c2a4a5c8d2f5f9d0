export { SCHEMA, readRecords, writeRecords, type Miss } from './file';
export { contentDigest, hash64, loadHash, textKey } from './hash';
export { decodeTable, encodeTable, type TableColumns } from './table';
export {
  decodeDigests, decodeInput, decodeOutcome, decodeSpecial, encodeDigests, encodeInput, encodeOutcome, encodeSpecial,
  type DigestRecord, type InputRecord, type SpecialRecord,
} from './shards';
