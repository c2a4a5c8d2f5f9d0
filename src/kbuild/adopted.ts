/** Whether objects of another build can be taken over. */
import { diagnostic, type Diagnostic } from '../diagnostics';
import { SECTIONS } from './compile';
import type { WholeList } from './whole-list';
import type { WorkTree } from './work-tree';

/** @returns `objects-unfit` */
export function checkAdopted(work: WorkTree, list: WholeList, path: string): Diagnostic[] {
  if (!work.adopted) return [];
  const unit = list.some;
  const missing = SECTIONS.filter((flag) => unit?.compile.includes(flag) !== true);
  if (missing.length === 0) return [];
  const why = unit === undefined ? 'nothing is built there' : `its objects were compiled without ${missing.join(' ')}`;
  return [diagnostic('objects-unfit', `${path}: ${why}`, { object: path })];
}
