/** What a program of the trial is made of. All of it is plain JSON: an edit copies it and changes the copy. */
import type { TargetName } from './target';

/** What a construct remembers of itself. */
// biome-ignore lint/suspicious/noExplicitAny: each construct knows its own; they are made and read in one file.
export type Model = Record<string, any>;

/** One statement that edits put into a function, take out of it and change; `statements.ts` knows the words. */
export interface Statement {
  word: string;
  c: number;
  d: number;
  /** Of a call: whom. */
  name?: string;
  /** Brought by an edit: its state begins when the livepatch is there. */
  fresh?: boolean;
}

export type Linkage = 'global' | 'static' | 'inline' | 'weak';

/** One use of a construct. */
export interface Item {
  kind: string;
  /** Unique in the program: part of the names of what other units may see. */
  id: number;
  /** Counts within kind and unit: part of the names of statics, so that two units have some of one name. */
  local: number;
  /** An entry is called by the program's driver, in ORIG and PATCHED; a helper by other items only. */
  role: 'entry' | 'helper';
  linkage: Linkage;
  /** Brought by an edit. */
  fresh?: boolean;
  /** Empty lines before it. */
  blank: number;
  model: Model;
  slots: Record<string, Statement[]>;
  /** Words of statements that an edit took out: one with a static may not come back, it would be taken for the old one, and rightly. */
  gone?: string[];
}

export interface Unit {
  /** With a folder: two may have one base name. */
  path: string;
  flags: string[];
  items: Item[];
}

export interface Program {
  target: TargetName;
  cc: string;
  flags: string[];
  units: Unit[];
}

export const copy = <T>(value: T): T => structuredClone(value);
