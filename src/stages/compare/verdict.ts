import type { Offset } from '../../elf';
import type { Change } from './change';

/**
 * Why a symbol counts as changed, or why it does not although its bytes or references differ.
 *
 * `code`: instructions differ. `reference`: they refer to something else. `second-reference`: only the second relocation
 * of an instruction differs, which the upstream tool does not look at. `table`: only the content of a read-only table
 * without a name of its own differs. `special-entry`: only what a special section says about the function differs.
 * `data`: bytes or references of an object differ. `carried`: included because a callee cannot be redirected.
 */
export type ChangeClass = 'code' | 'reference' | 'second-reference' | 'table' | 'special-entry' | 'data' | 'carried';

/** Differences that do not count: source lines, moved neighbours, bytes behind the last instruction, what a build calls itself. */
export type IgnoredClass = 'line' | 'layout' | 'padding' | 'release';

export interface Difference {
  /** Bytes from the symbol's start, in ORIG. */
  offset: Offset;
  orig: string;
  patched: string;
}

/** The outcome for one pair of canonical symbols. */
export interface Verdict {
  orig: number;
  patched: number;
  status: 'same' | 'changed' | 'ignored';
  class: ChangeClass | IgnoredClass | 'same';
  first: Difference | null;
  /** Of pairs that changed, where there are not too many. */
  change?: Change;
}
