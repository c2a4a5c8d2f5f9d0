import type { Reading } from '../side/reading';
import type { Readings } from './readings';

/** One reference of a range: what it may mean, and what it does mean once that is decided. */
export interface Doubt extends Readings {
  /** Offset of the field in the range. */
  field: number;
  decided: Reading | undefined;
  /** The twin may mean the same, but what either usually means are two things. */
  doubtful?: boolean;
  /** The twin has it, too, between the end of one object and the start of another, and does not know either. */
  alike?: boolean;
}
