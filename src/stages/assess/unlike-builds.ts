import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { Side } from '../compare';
import type { AssessInput } from './types';

/** Where Clang's -fprofile-generate counts. GCC's counters are ordinary variables. */
const COUNTERS = '__llvm_prf_cnts';
/** What objtool writes about any function on x86-64 and loongarch64. */
const LAYOUTS = '.orc_unwind_ip';

/**
 * Refuses builds that are not final. One that gathers a profile: a changed function counts in places that the running kernel's array
 * does not have, and such a build is made to be measured. One that objtool has not run on while it has on the other: its code comes
 * without stack layouts.
 */
export function refuseUnlikeBuilds({ orig, patched, objectName: object }: Pick<AssessInput, 'orig' | 'patched' | 'objectName'>): Diagnostic[] {
  const [ours, theirs] = [sectionsOf(orig), sectionsOf(patched)];
  const found: Diagnostic[] = [];
  const counting = [ours.counters ? 'ORIG' : '', theirs.counters ? 'PATCHED' : ''].filter((name) => name !== '');
  if (counting.length > 0) {
    found.push(diagnostic('instrumented-build', `${counting.join(' and ')} ${counting.length > 1 ? 'gather profiles' : 'gathers a profile'} (${COUNTERS})`, { object, section: COUNTERS }));
  }
  if (ours.layouts && !theirs.layouts) found.push(diagnostic('before-objtool', `PATCHED has no ${LAYOUTS} and ORIG has: objtool has not run on PATCHED`, { object, section: LAYOUTS }));
  return found;
}

function sectionsOf({ object }: Side): { counters: boolean; layouts: boolean } {
  const { bytes } = object;
  const found = { counters: false, layouts: false };
  for (let section = 1; section < object.sectionCount; section++) {
    // The third letter spares the text of 200,000 names.
    const letter = bytes[object.nameOffset(section) + 2];
    if ((letter !== 0x6c && letter !== 0x72) || object.size(section) === 0) continue;
    const name = object.name(section);
    found.counters ||= name === COUNTERS;
    found.layouts ||= name === LAYOUTS;
  }
  return found;
}
