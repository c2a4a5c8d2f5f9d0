import type { Offset } from '../../elf';

/** What differs of a pair that changed, in full: numbers, names and values. */

/** What kind of thing an instruction refers to. */
export type ReferenceKind = 'call' | 'string' | 'variable' | 'function' | 'data' | 'static branch' | 'static call';

/** What special sections say of a function, by what people call the entries: how many there are in each build. */
export interface CountedEntries {
  name: string;
  orig: number;
  patched: number;
}

/** What changed of a function, in numbers and names. */
export interface CodeChange {
  /** Instructions, without those that fill gaps. */
  instructions: { orig: number; patched: number; added: number; removed: number; altered: number };
  /** What is referred to more often than before, and what less often. */
  added: ChangedReference[];
  removed: ChangedReference[];
  /** Those of PATCHED come along into a livepatch. */
  entries: CountedEntries[];
}

export interface ChangedReference {
  kind: ReferenceKind;
  name: string;
  /** How many more, or fewer. */
  times: number;
}

/** A place of a variable that differs, in words: a number, a text, what it refers to, else its bytes. */
export interface DataRow {
  offset: Offset;
  /** The field that it is, and the field's type; absent where no types were given, or none is known of the variable. */
  field?: { path: string; type: string };
  orig: string;
  patched: string;
}

/** All that differs of a pair that changed. */
export type Change =
  | ({ kind: 'code' } & CodeChange)
  | {
      kind: 'data';
      rows: DataRow[];
      /** How many there are. */
      differing: number;
      size: { orig: number; patched: number };
    };
