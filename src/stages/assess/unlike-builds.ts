import { diagnostic, type Diagnostic } from '../../diagnostics';
import { Role } from '../../kernel/sections';
import type { Side } from '../side/side';
import { instrumentationOf } from './instrumentation';
import type { AssessInput } from './types';

const COUNTERS = '__llvm_prf_cnts';
const GCOV = '__gcov_init';
const LAYOUTS = '.orc_unwind_ip';

/**
 * Refuses builds that are not final. One that gathers a profile: a changed function counts in places that the running kernel's array
 * does not have, and such a build is made to be measured. One that objtool has not run on while it has on the other: its code comes
 * without stack layouts.
 */
export function refuseUnlikeBuilds({
  orig,
  patched,
  objectName: object,
}: Pick<AssessInput, 'orig' | 'patched' | 'objectName'>): Diagnostic[] {
  const [ours, theirs] = [sectionsOf(orig), sectionsOf(patched)];
  const found: Diagnostic[] = [];
  const counting = [ours.counters ? 'ORIG' : '', theirs.counters ? 'PATCHED' : ''].filter((name) => name !== '');
  const by = ours.gcov || theirs.gcov ? GCOV : COUNTERS;
  if (counting.length > 0)
    found.push(
      diagnostic(
        'instrumented-build',
        `${counting.join(' and ')} ${counting.length > 1 ? 'gather profiles' : 'gathers a profile'} (${by})`,
        { object, ...(by === GCOV ? {} : { section: COUNTERS }) },
      ),
    );
  if (ours.layouts && !theirs.layouts)
    found.push(
      diagnostic('before-objtool', `PATCHED has no ${LAYOUTS} and ORIG has: objtool has not run on PATCHED`, {
        object,
        section: LAYOUTS,
      }),
    );
  return found;
}

function sectionsOf(side: Side): { counters: boolean; gcov: boolean; layouts: boolean } {
  const { object, table } = side;
  const has = (role: number): boolean => table.ofRole(role).some((section) => object.size(section) > 0);
  const gcov = instrumentationOf(side).counts;
  return { counters: gcov || has(Role.PROFILE_COUNTERS), gcov, layouts: has(Role.LAYOUTS) };
}
