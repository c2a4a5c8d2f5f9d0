import { decodeOutcome, encodeOutcome, loadHash, readRecords, writeRecords } from '../records';
import { version } from '../../package.json';
import type { Flow } from './flow';
import type { Identified } from './scan';

/** The recorded outcome of a pair of contents and options; undefined if there is none that can be used. */
export async function reuseOutcome<T>(flow: Flow, orig: Identified, patched: Identified, options: string): Promise<T | undefined> {
  if (flow.fresh) return undefined;
  await loadHash();
  const place = flow.runDir.outcome(orig.digest, patched.digest, options);
  const messages = readRecords(place.file, 'outcome', place.key);
  if (typeof messages === 'string') return undefined;
  try {
    const outcome = JSON.parse(decodeOutcome(messages[0]) ?? 'null') as T | null;
    if (outcome === null) return undefined;
    flow.progress.step('assess', null, true, null, { items: 1, bytes: 0 });
    return outcome;
  } catch {
    return undefined;
  }
}

export async function recordOutcome(flow: Flow, orig: Identified, patched: Identified, options: string, outcome: unknown): Promise<void> {
  await loadHash();
  const place = flow.runDir.outcome(orig.digest, patched.digest, options);
  writeRecords(place.file, 'outcome', place.key, version, [encodeOutcome(JSON.stringify(outcome))]);
}
