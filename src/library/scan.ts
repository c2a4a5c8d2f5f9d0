import { join } from 'node:path';
import { defaultRunDir } from '../files/cache-folder';
import type { PruneOptions } from '../pipeline/prune';
import { scanObject, type ScanResult } from '../pipeline/scan-object';
import { treesOf, type TreeStatus } from '../kbuild';
import { listRuns, statusOf, type RecordsStatus, type RunListing } from '../pipeline/status';
import { begin, type Run, type RunSettings } from './run';
import { withPlain } from './unpacked';
import { unpackedInto } from '../pipeline/unpacked-folder';

/** Reads one object into the run directory, so that later comparisons begin there. */
export function scan(options: RunSettings & { object: string }): Run<ScanResult> {
  return begin(options, async (run, { object }) => scanObject({ ...run, object }));
}

export interface StatusResult extends RecordsStatus {
  schema: 'klpflow/status@1';
  /** Kernels' trees in which patches were compiled, the last used first. */
  builds: TreeStatus[];
}

/** What is recorded of some objects, and what the next run would reuse; of builds each stage and its log. */
export async function status(
  options: { inputs?: readonly string[]; runDir?: string | undefined } = {},
): Promise<StatusResult> {
  const { runDir = defaultRunDir() } = options;
  const given = { ...options, inputs: options.inputs ?? [] };
  const records = await withPlain(unpackedInto(runDir), given, ({ inputs }) => statusOf(runDir, inputs));
  return { schema: 'klpflow/status@1', ...records, builds: treesOf(join(records.runDir, 'builds')) };
}

/** What the run directory holds; with `prune` after what that says is removed. No run should be under way then. */
export function runs(
  options: { runDir?: string | undefined; prune?: PruneOptions | undefined } = {},
): Promise<RunListing> {
  return listRuns(options.runDir ?? defaultRunDir(), options.prune);
}
