import type { ReportedFunction } from './judge';
import type { Markers } from './markers';

/** What a patch object holds besides the included functions; may cross threads. Symbols are PATCHED's, canonical. */
export interface KpatchPlan {
  markers: Markers;
  reported: readonly ReportedFunction[];
  /** New variables that other objects of the patch may use. */
  newGlobals: readonly number[];
  /** Debug information goes along; not for a whole kernel, whose is never read. */
  debug: boolean;
}
