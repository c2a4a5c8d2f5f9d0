import { dirname } from 'node:path';
import { decodeOutcome, encodeOutcome, loadHash, readRecords, writeRecords } from '../records';
import type { Flow } from './flow';
import { markUsed } from './prune';
import type { Identified } from './scan';

/** The recorded outcome of a pair of contents and options; undefined if there is none that can be used. */
export async function reuseOutcome<T>(
  flow: Flow,
  orig: Identified,
  patched: Identified,
  options: object,
): Promise<T | undefined> {
  if (flow.fresh) return undefined;
  await loadHash();
  const place = flow.runDir.outcome(orig.digest, patched.digest, JSON.stringify(options));
  const messages = readRecords(place.file, 'outcome', place.key);
  if (typeof messages === 'string') return undefined;
  try {
    const outcome = decodeOutcome(messages[0])?.outcome as T | undefined;
    markUsed(dirname(place.file));
    if (outcome !== undefined) flow.progress.step('assess', null, true, null, { items: 1, bytes: 0 });
    return outcome;
  } catch {
    return undefined;
  }
}

/** @throws KlpflowError `no-space`, `write-failed` */
export async function recordOutcome(
  flow: Flow,
  orig: Identified,
  patched: Identified,
  options: object,
  outcome: unknown,
): Promise<void> {
  await loadHash();
  const place = flow.runDir.outcome(orig.digest, patched.digest, JSON.stringify(options));
  writeRecords(place, 'outcome', [encodeOutcome({ outcome, options })]);
}
