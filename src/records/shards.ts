import { klpflow } from './generated/schema';
import { columnBytes, words } from './table';

/** User, slot and target of a use. */
const USE_BYTES = 12;

export interface DigestRecord {
  from: number;
  to: number;
  uses: Uint32Array;
}

/** One shard's uses, and the digests of `symbols`, all in [from, to). */
export function encodeDigests({ from, to, uses }: DigestRecord, symbols: Uint32Array, column: Int32Array): Uint8Array {
  const digest = new Int32Array(symbols.length * 4);
  for (let at = 0; at < digest.length; at++) digest[at] = column[symbols[at >>> 2]! * 4 + (at & 3)]!;
  return klpflow.DigestShard.encode({
    from,
    to,
    digest: columnBytes(digest),
    uses: columnBytes(uses),
  } as klpflow.DigestShard).finish();
}

/** Fills the digests of `symbols` from a shard's message; undefined where it does not fit. */
export function decodeDigests(
  message: Uint8Array | undefined,
  symbols: Uint32Array,
  column: Int32Array,
): DigestRecord | undefined {
  if (message === undefined) return undefined;
  const shard = klpflow.DigestShard.decode(message);
  if (shard.digest.length !== symbols.length * 16 || shard.uses.length % USE_BYTES !== 0) return undefined;
  const digest = words(shard.digest);
  for (let at = 0; at < digest.length; at++) column[symbols[at >>> 2]! * 4 + (at & 3)] = digest[at]!;
  return { from: shard.from, to: shard.to, uses: words(shard.uses) };
}

export interface SpecialRecord {
  owners: Uint32Array;
  digest: Int32Array;
  traceable: Uint32Array;
  sealed: Uint32Array;
  lineOwners: Uint32Array;
  lines: Int32Array;
  uses: Uint32Array;
  unknown: Array<{ section: string; bytes: number }>;
  traceKnown: boolean;
  gaps: Uint32Array;
}

export function encodeSpecial(record: SpecialRecord): Uint8Array {
  const { owners, digest, traceable, sealed, lineOwners, lines, uses, unknown, traceKnown, gaps } = record;
  return klpflow.SpecialEntries.encode({
    owners: columnBytes(owners),
    digest: columnBytes(digest),
    traceable: columnBytes(traceable),
    sealed: columnBytes(sealed),
    uses: columnBytes(uses),
    lineOwners: columnBytes(lineOwners),
    lines: columnBytes(lines),
    traceKnown,
    gaps: columnBytes(gaps),
    unknown: unknown as unknown as klpflow.UnknownSize[],
  } as klpflow.SpecialEntries).finish();
}

export function decodeSpecial(message: Uint8Array | undefined): SpecialRecord | undefined {
  if (message === undefined) return undefined;
  const record = klpflow.SpecialEntries.decode(message);
  const digest = words(record.digest);
  if (
    digest.length !== record.owners.length / 2 ||
    record.lines.length !== record.lineOwners.length ||
    record.uses.length % USE_BYTES !== 0
  )
    return undefined;
  return {
    owners: words(record.owners),
    digest: new Int32Array(digest.buffer),
    traceable: words(record.traceable),
    sealed: words(record.sealed),
    uses: words(record.uses),
    traceKnown: record.traceKnown,
    gaps: words(record.gaps),
    lineOwners: words(record.lineOwners),
    lines: new Int32Array(words(record.lines).buffer),
    unknown: record.unknown.map((size) => ({ section: size.section ?? '', bytes: Number(size.bytes ?? 0) })),
  };
}

export interface InputRecord {
  path: string;
  device: string;
  inode: string;
  size: number;
  mtimeNs: string;
  ctimeNs: string;
  digest: string;
}

export function encodeInput(input: InputRecord): Uint8Array {
  return klpflow.Input.encode(input as unknown as klpflow.Input).finish();
}

/** What `contentDigest` makes; part of file names, so nothing else is taken for one. */
const DIGEST = /^[0-9a-f]{32}-[0-9a-f]+$/;

export function decodeInput(message: Uint8Array | undefined): InputRecord | undefined {
  if (message === undefined) return undefined;
  const { path, device, inode, size, mtimeNs, ctimeNs, digest } = klpflow.Input.decode(message);
  return DIGEST.test(digest) ? { path, device, inode, size: Number(size), mtimeNs, ctimeNs, digest } : undefined;
}

export interface LivepatchRecord {
  /** An object in format klp. */
  object: Uint8Array;
  /** What the report says of it: plain data. */
  findings: unknown;
}

export function encodeLivepatch({ object, findings }: LivepatchRecord): Uint8Array {
  return klpflow.Livepatch.encode({ object, json: JSON.stringify(findings) } as klpflow.Livepatch).finish();
}

/** @throws SyntaxError where the JSON is none */
export function decodeLivepatch(message: Uint8Array | undefined): LivepatchRecord | undefined {
  if (message === undefined) return undefined;
  const { object, json } = klpflow.Livepatch.decode(message);
  return { object, findings: JSON.parse(json) };
}

export interface OutcomeRecord {
  /** What the outcome says, and the options it was made with: both plain data. */
  outcome: unknown;
  options: unknown;
}

export function encodeOutcome({ outcome, options }: OutcomeRecord): Uint8Array {
  return klpflow.Outcome.encode({
    json: JSON.stringify(outcome),
    options: JSON.stringify(options),
  } as klpflow.Outcome).finish();
}

/** @throws SyntaxError where the JSON is none */
export function decodeOutcome(message: Uint8Array | undefined): OutcomeRecord | undefined {
  if (message === undefined) return undefined;
  const { json, options } = klpflow.Outcome.decode(message);
  return { outcome: JSON.parse(json), options: JSON.parse(options) };
}
