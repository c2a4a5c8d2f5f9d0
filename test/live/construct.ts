/** What a program of the trial may be made of, and what may be done to it. */
import type { Item, Model } from './model';
import type { Names } from './names';
import type { Rng } from './rng';
import type { TargetName } from './target';

export interface Edit {
  name: string;
  /** Refusing is right, or may be: what it changes cannot be livepatched. */
  mayRefuse?: boolean;
  /** Changes the model; false: it does not apply here. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most edits always apply, and say nothing.
  apply(model: Model, r: Rng, item: Item): boolean | void;
  weight?: number;
}

export interface Construct {
  kind: string;
  /** The only processor that it is for. */
  target?: TargetName;
  /** Where statements may be put; the text has `acc` and `k` there. */
  slots: readonly string[];
  make(r: Rng): Model;
  emit(model: Model, n: Names): string;
  edits: readonly Edit[];
  /** It has no variables that are written. */
  stateless?: boolean;
  /** Its entries cannot be inlined. */
  outline?: boolean;
  /** Of 10, how often edits of statements are chosen before its own; default 4. */
  plain?: number;
}
