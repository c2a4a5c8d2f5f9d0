import { lastValueFrom } from 'rxjs';
import { writable } from '../arch';
import { diagnostic, isRefused, type Diagnostic } from '../diagnostics';
import type { Flow } from './flow';
import type { KernelSources } from './kernel';
import type { UnitFiles } from './extract';
import type { Judgement, PairRef, RehearsalAnswer } from './types';

/** What writing a livepatch of the pair would find, and what could not be looked at for want of a file. */
export async function rehearsePair(
  flow: Flow,
  pair: PairRef,
  {
    assessment: {
      included,
      brought,
      undecided,
      copied,
      object: { name },
    },
  }: Judgement,
  { symvers, listing: kernel, image }: KernelSources,
  { moduleFile, plain }: UnitFiles,
): Promise<Diagnostic[]> {
  const found = await lastValueFrom(
    flow.task(
      'extract',
      null,
      'rehearse',
      { pair, included, brought, undecided, copied, objectName: name, symvers, kernel, image, moduleFile, plain },
      () => ({ items: included.length, bytes: 0 }),
    ),
  );
  // Where it is refused anyway nobody has to look further.
  return isRefused(found.diagnostics) ? found.diagnostics : [...found.diagnostics, ...reportUnchecked([found], name)];
}

/** Names for a message. */
const FEW = 5;

/** One note for all that only files of the kernel can tell. */
export function reportUnchecked(
  rehearsals: ReadonlyArray<Omit<RehearsalAnswer, 'diagnostics'>>,
  object: string,
): Diagnostic[] {
  const imports = [...new Set(rehearsals.flatMap((found) => found.imports))].sort();
  const lookups = rehearsals.reduce((sum, found) => sum + found.lookups, 0);
  const parts: string[] = [];
  if (imports.length > 0)
    parts.push(
      `whether the kernel exports ${imports.slice(0, FEW).join(', ')}${imports.length > FEW ? ` and ${imports.length - FEW} more` : ''} (--symvers)`,
    );
  if (lookups > 0)
    parts.push(
      `whether the running kernel has ${lookups === 1 ? 'the symbol' : `the ${lookups} symbols`} that the livepatch looks up, and of several of one name which is meant (--vmlinux)`,
    );
  if (rehearsals.some(({ unwritable }) => unwritable))
    parts.push(
      `what writing it would find: reports are of format klp, which is for ${writable()} (-o FILE --format kpatch)`,
    );
  return parts.length === 0 ? [] : [diagnostic('not-checked', `not checked: ${parts.join('; ')}`, { object })];
}
