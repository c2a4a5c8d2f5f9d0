import type { Clones } from './clones';
import type { CopyRules } from './copy-rules';
import type { Links } from './link';
import type { Refusals } from './refusals';
import type { CopyInput } from './types';

/** One livepatch object in the making: what it is made from, by which rules, and where it and the reasons against it go. */
export interface Copying {
  readonly input: CopyInput;
  readonly dialect: CopyRules;
  readonly clones: Clones;
  readonly links: Links;
  readonly refusals: Refusals;
}
