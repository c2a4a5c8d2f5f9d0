import type { DiffResult } from '../pipeline/diff';
import { objtoolDiff as diffAsObjtool } from '../tools/objtool/klp-diff';
import { begin, type Run, type RunSettings } from './run';

/** `objtool klp diff`: `diff` with what objtool finds by itself. */
export function objtoolDiff(
  options: RunSettings & { orig: string; patched: string /** The livepatch object to write. */; out: string },
): Run<DiffResult> {
  const { orig, patched, out } = options;
  return begin(options, async (run) => diffAsObjtool({ ...run, orig, patched, out }));
}
