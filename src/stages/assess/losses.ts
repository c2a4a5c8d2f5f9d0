import type { Diagnostic } from '../../diagnostics';
import { reportCompilers } from './compilers';
import { reportExportVersions } from './export-crcs';
import { oddSections } from './odd-sections';
import { reportRegistrations } from './registrations';
import type { AssessInput } from './types';

/** What the patched build does and its livepatch will not, besides what is refused: each is told, none is counted. */
export function reportLosses({
  orig,
  patched,
  objectName: object,
}: Pick<AssessInput, 'orig' | 'patched' | 'objectName'>): Diagnostic[] {
  const [ours, theirs] = [oddSections(orig), oddSections(patched)];
  return [
    ...reportCompilers(orig, patched, ours.get('.comment') ?? [], theirs.get('.comment') ?? [], object),
    ...reportRegistrations(orig, patched, ours, theirs, object),
    ...reportExportVersions(orig, patched, object),
  ];
}
