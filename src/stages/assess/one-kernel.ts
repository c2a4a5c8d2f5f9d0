import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { AssessInput, ObjectResult } from './types';
import { Trait } from '../scan';

/** An edit of a header that everything includes changes thousands of 50,000 functions; units have some hundred in all. */
const FEWEST = 500;

/**
 * Two objects that are not two builds of one kernel: more functions differ, or exist on one side only, than agree. One reason then, not one for each of them. Undefined
 * where they may be.
 */
export function reportOtherKernel(
  { orig, patched, objectName: object }: Pick<AssessInput, 'orig' | 'patched' | 'objectName'>,
  { functions: { changed, new: fresh, removed } }: ObjectResult,
): Diagnostic | undefined {
  const differing = changed.length + Math.max(fresh.length, removed.length);
  if (differing < FEWEST) return undefined;
  const total = functionsOf(orig) + fresh.length;
  if (differing * 2 <= total) return undefined;
  const message = `of ${functionsOf(orig)} functions of ORIG and ${functionsOf(patched)} of PATCHED ${changed.length} changed, ${removed.length} are gone and ${fresh.length} are new: these are not two builds of one kernel`;
  return diagnostic('not-one-kernel', message, { object });
}

function functionsOf({ table }: AssessInput['orig']): number {
  let count = 0;
  for (let i = 0; i < table.listedCount; i++) {
    const symbol = table.listed[i]!;
    if ((table.traits[symbol]! & (Trait.FUNC | Trait.COLD)) === Trait.FUNC && table.canonical[symbol] === symbol)
      count++;
  }
  return count;
}
