import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { Side } from '../compare';
import type { AssessInput } from './types';

/** Where Clang's -fprofile-generate counts. GCC's counters are ordinary variables. */
const COUNTERS = '__llvm_prf_cnts';

/**
 * Refuses builds that gather a profile: a changed function counts in places that the running kernel's array does not have, and such a
 * build is made to be measured, not to be run for long.
 */
export function refuseInstrumented({ orig, patched, objectName }: Pick<AssessInput, 'orig' | 'patched' | 'objectName'>): Diagnostic[] {
  const builds = [['ORIG', orig], ['PATCHED', patched]] as const;
  const counting = builds.filter(([, side]) => counts(side)).map(([name]) => name);
  if (counting.length === 0) return [];
  return [diagnostic('instrumented-build', `${counting.join(' and ')} ${counting.length > 1 ? 'gather profiles' : 'gathers a profile'} (${COUNTERS})`, { object: objectName, section: COUNTERS })];
}

function counts({ object }: Side): boolean {
  const name = Buffer.from(`${COUNTERS}\0`);
  for (let section = 1; section < object.sectionCount; section++) {
    const at = object.nameOffset(section);
    if (object.bytes[at] === name[0] && object.size(section) > 0 && name.equals(object.bytes.subarray(at, at + name.length))) return true;
  }
  return false;
}
