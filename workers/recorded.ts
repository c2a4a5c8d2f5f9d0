/** What a thread reads from the run directory and writes to it. */
import { fileIdentity } from '../src/elf';
import { readRecords, writeRecords, type Miss, type RecordPlace, type SpecialRecord } from '../src/records';
import { Trait, type ScanTable } from '../src/stages/scan';
import { mustBe } from './inputs';
import type { InputFile } from '../src/pipeline/types';

/** A record's value, or why there is none. */
export function recorded<T, M extends Iterable<Uint8Array> = Uint8Array[]>(
  place: RecordPlace, kind: string, fresh: boolean, decode: (messages: M) => T | undefined, read = readRecords as (file: string, kind: string, key: string) => M | Miss,
): { value?: T; miss: string | null } {
  if (fresh) return { miss: 'fresh' };
  const messages = read(place.file, kind, place.key);
  if (typeof messages === 'string') return { miss: messages };
  try {
    const value = decode(messages);
    return value === undefined ? { miss: 'damaged' } : { value, miss: null };
  } catch {
    return { miss: 'damaged' };
  }
}

/**
 * Records what was computed from an input, unless its file changed meanwhile: the key says of which content it is.
 * @throws KlpflowError `input-changed`, `no-space`, `write-failed`
 */
export function keep(input: InputFile, place: RecordPlace, kind: string, messages: Iterable<Uint8Array | readonly Uint8Array[]>): void {
  mustBe(fileIdentity(input.path), input);
  writeRecords(place, kind, messages);
}

/** What the special sections left in the columns, as it is recorded: only the symbols that have something. */
export function specialRecord(table: ScanTable): Omit<SpecialRecord, 'uses' | 'unknown' | 'traceKnown'> {
  const owners: number[] = [];
  const traceable: number[] = [];
  const sealed: number[] = [];
  const lineOwners: number[] = [];
  const { listed, listedCount, special, traits, lines } = table;
  for (let i = 0; i < listedCount; i++) {
    const symbol = listed[i]!;
    if (special[symbol * 2] !== 0 || special[symbol * 2 + 1] !== 0) owners.push(symbol);
    if ((traits[symbol]! & Trait.TRACEABLE) !== 0) traceable.push(symbol);
    if ((traits[symbol]! & Trait.SEALED) !== 0) sealed.push(symbol);
    if (lines[symbol] !== 0) lineOwners.push(symbol);
  }
  return {
    owners: Uint32Array.from(owners),
    digest: Int32Array.from(owners.flatMap((owner) => [special[owner * 2]!, special[owner * 2 + 1]!])),
    traceable: Uint32Array.from(traceable),
    sealed: Uint32Array.from(sealed),
    lineOwners: Uint32Array.from(lineOwners),
    lines: Int32Array.from(lineOwners, (owner) => lines[owner]!),
  };
}
