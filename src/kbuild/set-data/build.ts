/** Both builds once more, with callbacks that set variables behind the patched units: only the objects tell what differs. */
import type { Diagnostic } from '../../diagnostics';
import type { SetData } from '../../stages/assess';
import { buildBoth, unitObjects, type BothBuilds, type BuildSettings } from '../both-builds';
import type { ChangedFile } from '../patch/apply';
import type { BuildRequest } from '../request';
import type { Unit } from '../units';
import type { WorkTree } from '../work-tree';
import { checkPacked, planData, withCallbacks } from '.';

interface Built {
  units: readonly Unit[];
  files: readonly ChangedFile[];
  built: BothBuilds;
}

export interface DataBuilds extends BothBuilds {
  setData: SetData[];
  diagnostics: Diagnostic[];
}

/** @throws KlpflowError `compile-failed`, `make-failed`, `interrupted` */
export async function buildData(
  { setData: names = [], replace = true }: Pick<BuildRequest, 'setData' | 'replace'>,
  work: WorkTree,
  { units, files, built }: Built,
  settings: BuildSettings,
): Promise<DataBuilds> {
  if (names.length === 0) return { ...built, setData: [], diagnostics: [] };
  const { setData, holders, diagnostics } = planData(names, unitObjects(work, units, files));
  if (holders.length === 0 || diagnostics.some(({ severity }) => severity === 'refusal'))
    return { ...built, setData, diagnostics };
  const all = withCallbacks(holders, files, work.tree, replace);
  const again = await buildBoth(work, units, all, settings);
  return { ...again, setData, diagnostics: [...diagnostics, ...checkPacked(holders, unitObjects(work, units, all))] };
}
