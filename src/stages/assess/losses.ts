import type { Diagnostic } from '../../diagnostics';
import { tellCompilers } from './compilers';
import { tellExportVersions } from './export-crcs';
import { oddSections } from './odd-sections';
import { tellRegistrations } from './registrations';
import type { AssessInput } from './types';

/** What the patched build does and its livepatch will not, besides what is refused: each is told, none is counted. */
export function tellLosses({
  orig,
  patched,
  objectName: object,
}: Pick<AssessInput, 'orig' | 'patched' | 'objectName'>): Diagnostic[] {
  const [ours, theirs] = [oddSections(orig), oddSections(patched)];
  return [
    ...tellCompilers(orig, patched, ours.get('.comment') ?? [], theirs.get('.comment') ?? [], object),
    ...tellRegistrations(orig, patched, ours, theirs, object),
    ...tellExportVersions(orig, patched, object),
  ];
}
