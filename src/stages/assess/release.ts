import { diagnostic, type Diagnostic } from '../../diagnostics';
import { buildNames } from '../compare/build-names';
import type { AssessInput } from './types';

/** One word for two builds that call themselves otherwise, where anything shows it. */
export function reportRelease({
  orig,
  patched,
  verdicts,
  objectName: object,
}: Pick<AssessInput, 'orig' | 'patched' | 'verdicts' | 'objectName'>): Diagnostic[] {
  const differing = verdicts.filter(({ class: kind }) => kind === 'release');
  if (differing.length === 0) return [];
  const [ours, theirs] = [buildNames(orig), buildNames(patched)];
  const what =
    ours.release !== theirs.release
      ? `ORIG is release ${ours.release}, PATCHED ${theirs.release}`
      : ours.version !== theirs.version
        ? `the builds call themselves otherwise (${ours.version || 'ORIG'}; ${theirs.version || 'PATCHED'})`
        : 'the builds call themselves otherwise';
  return [
    diagnostic(
      'other-release',
      `${what}: ${differing.length === 1 ? 'one symbol differs' : `${differing.length} symbols differ`} in nothing else, and ${differing.length === 1 ? 'does' : 'do'} not count as changed`,
      { object, symbol: orig.name(differing[0]!.orig) },
    ),
  ];
}
