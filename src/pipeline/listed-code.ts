/** The code of the functions that a comparison lists. */
import { lastValueFrom } from 'rxjs';
import type { Listed } from '../stages/explain/many';
import type { DiffResult } from './diff';
import type { DiffRequest } from './diff-options';
import { checkUnchanged } from './files';
import { correlateBoth, identifyBoth, scanBoth } from './pair';
import { withFlow } from './run';
import { addSourceLines } from './source-lines';
import { isFolder } from './tree-files';
import type { Explanation } from './types';

/** The functions of one list of `diff`, in its order; null for one whose code is not found. */
export interface ListedCode {
  object: string;
  state: Listed['state'];
  explanations: Array<Explanation | null>;
}

/** Instructions around a difference; less where there are many functions. */
const CONTEXT = 4;
const MANY = 500;

export async function codeOf(request: DiffRequest, { objects }: DiffResult): Promise<ListedCode[]> {
  const [object] = objects;
  if (object === undefined || objects.length > 1 || isFolder(request.orig)) return [];
  const { changed, new: fresh, removed, carried, ignored } = object.functions;
  const unit = <T extends { name: string }>(entry: T & { file?: string | null }): [string, string | null] => [
    entry.name,
    entry.file ?? null,
  ];
  const lists: Array<[Listed['state'], Array<[string, string | null]>]> = [
    ['changed', changed.map(unit)],
    ['new', fresh.map(unit)],
    ['removed', removed.map(unit)],
    ['carried', carried.map(unit)],
    ['ignored', ignored.map(unit)],
  ];
  const wanted = lists.flatMap(([state, names]) => names.map(([name, file]): Listed => ({ state, name, file })));
  if (wanted.length === 0) return [];
  const explanations = await withFlow(request, async (flow) => {
    const [orig, patched] = await identifyBoth(flow, request);
    const scans = await scanBoth(flow, orig, patched);
    const { pair } = await correlateBoth(flow, scans, request.twins);
    const context = wanted.length > MANY ? 1 : CONTEXT;
    const found = await lastValueFrom(
      flow.task('assess', null, 'explainListed', { pair, wanted, context }, () => ({ items: wanted.length, bytes: 0 })),
    );
    await addSourceLines(found.explanations, {
      orig: orig.copy ?? orig.path,
      patched: patched.copy ?? patched.path,
    });
    checkUnchanged([orig, patched]);
    return found.explanations;
  });
  let from = 0;
  return lists.map(([state, names]) => ({
    object: object.name,
    state,
    explanations: explanations.slice(from, (from += names.length)),
  }));
}
