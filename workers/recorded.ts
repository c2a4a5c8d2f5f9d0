/** What a thread reads from the run directory and writes to it. */
import { fileIdentity } from '../src/files/mapped-file';
import { readRecords, writeRecords, type Miss, type RecordPlace, type SpecialRecord } from '../src/records';
import { Trait, type ScanTable } from '../src/stages/scan';
import { mustBe } from './inputs';
import type { InputFile } from '../src/pipeline/types';

/** A record's value, or why there is none. */
export function recorded<T, M extends Iterable<Uint8Array> = Uint8Array[]>(
  place: RecordPlace,
  kind: string,
  fresh: boolean,
  decode: (messages: M) => T | undefined,
  read = readRecords as (file: string, kind: string, key: string) => M | Miss,
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
export function keep(
  input: InputFile,
  place: RecordPlace,
  kind: string,
  messages: Iterable<Uint8Array | readonly Uint8Array[]>,
): void {
  mustBe(fileIdentity(input.path), input);
  writeRecords(place, kind, messages);
}

/** What special sections leave in the columns, as it is recorded. */
type SpecialColumns = Omit<SpecialRecord, 'uses' | 'unknown' | 'traceKnown' | 'gaps'>;

/** What special sections left in the columns: only the symbols that have something. */
export function specialRecord({ listed, listedCount, special, traits, lines }: ScanTable): SpecialColumns {
  const having = (has: (symbol: number) => boolean): Uint32Array => {
    const found = new Uint32Array(listedCount);
    let count = 0;
    for (let i = 0; i < listedCount; i++) if (has(listed[i]!)) found[count++] = listed[i]!;
    return found.slice(0, count);
  };
  const owners = having((symbol) => special[symbol * 2] !== 0 || special[symbol * 2 + 1] !== 0);
  const lineOwners = having((symbol) => lines[symbol] !== 0);
  const digest = new Int32Array(owners.length * 2);
  for (let i = 0; i < owners.length; i++) {
    digest[i * 2] = special[owners[i]! * 2]!;
    digest[i * 2 + 1] = special[owners[i]! * 2 + 1]!;
  }
  return {
    owners,
    digest,
    lineOwners,
    lines: Int32Array.from(lineOwners, (owner) => lines[owner]!),
    traceable: having((symbol) => (traits[symbol]! & Trait.TRACEABLE) !== 0),
    sealed: having((symbol) => (traits[symbol]! & Trait.SEALED) !== 0),
  };
}

/** Puts what `specialRecord` gathered back into the columns; false, and nothing done, where it is not of this table. */
export function restoreSpecial(
  { symbols, special, traits, lines: lineColumn }: ScanTable,
  { owners, digest, traceable, sealed, lineOwners, lines }: SpecialColumns,
): boolean {
  for (const column of [owners, traceable, sealed, lineOwners])
    for (let i = 0; i < column.length; i++) if (column[i]! >= symbols) return false;
  for (let i = 0; i < owners.length; i++) {
    special[owners[i]! * 2] = digest[i * 2]!;
    special[owners[i]! * 2 + 1] = digest[i * 2 + 1]!;
  }
  for (let i = 0; i < lineOwners.length; i++) lineColumn[lineOwners[i]!] = lines[i]!;
  for (let i = 0; i < traceable.length; i++) traits[traceable[i]!]! |= Trait.TRACEABLE;
  for (let i = 0; i < sealed.length; i++) traits[sealed[i]!]! |= Trait.SEALED;
  return true;
}
