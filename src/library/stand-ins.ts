import { defaultRunDir } from '../files/cache-folder';
import type { DiffResult } from '../pipeline/diff';
import { unpackedInto } from '../pipeline/unpacked-folder';
import { objtoolDiff as diffAsObjtool } from '../tools/objtool/klp-diff';
import {
  createDiffObject as diffAsKpatch,
  type CreateDiffObjectRequest,
  type CreateDiffObjectResult,
} from '../tools/kpatch/create-diff-object';
import { createKlpModule as moduleAsKpatch, type CreateKlpModuleRequest } from '../tools/kpatch/create-klp-module';
import { begin, type Run, type RunSettings } from './run';
import { withPlain } from './unpacked';

/** `objtool klp diff`: `diff` with what objtool finds by itself. */
export function objtoolDiff(
  options: RunSettings & {
    orig: string;
    patched: string;
    /** The livepatch object to write. */
    out: string;
    /** Whether the objects may lack checksums. */
    withoutChecksums?: boolean | undefined;
  },
): Run<DiffResult> {
  // What lies beside ORIG lies beside the file that was given, not beside what that holds.
  return begin(options, async (run, { orig, patched, out, withoutChecksums }) =>
    diffAsObjtool({ ...run, orig, patched, out, withoutChecksums, given: options.orig }),
  );
}

/** kpatch's create-diff-object: the object of one unit of a build. @throws KlpflowError for files that cannot be read, are malformed, or cannot be written */
export function createDiffObject(request: CreateDiffObjectRequest): Promise<CreateDiffObjectResult> {
  return withPlain(
    unpackedInto(defaultRunDir()),
    request,
    (given) => diffAsKpatch({ ...given, called: request.orig }),
    ['parentSymtab'],
  );
}

/** kpatch's create-klp-module: a livepatch module of a linked patch module. @throws KlpflowError for files that cannot be read, are no such module, or cannot be written */
export function createKlpModule(request: CreateKlpModuleRequest): Promise<void> {
  return withPlain(unpackedInto(defaultRunDir()), request, moduleAsKpatch, ['input']);
}
