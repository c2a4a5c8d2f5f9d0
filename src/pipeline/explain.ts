import { lastValueFrom } from 'rxjs';
import { correlateBoth, identifyBoth, scanBoth, type PairRequest } from './pair';
import { checkUnchanged } from './files';
import { tiesOf, type HunkTie } from '../patch/ties';
import { placesOf } from './patch-ties';
import { pairOfSymbol } from './pair-of-symbol';
import { addSourceLines } from './source-lines';
import { isFolder } from './tree-files';
import { withFlow } from './run';
import type { Explanation } from './types';

/** A symbol explained, and the hunks of the patches that were given which its change is of; left out where none was. */
export type Explained = Explanation & { hunks?: HunkTie[] };

/** Explains one symbol of a pair, or of two folders: the same flow, with one pair at its end. */
export async function explain(
  asked: PairRequest & { symbol: string; context: number; patches?: readonly string[] | undefined },
): Promise<Explained> {
  const { patches = [] } = asked;
  const hunks = patches.length === 0 ? [] : (await import('../patch/hunks')).readHunks(patches);
  const folders = isFolder(asked.orig) && isFolder(asked.patched);
  const request = folders ? { ...asked, ...pairOfSymbol(asked.orig, asked.patched, asked.symbol) } : asked;
  return withFlow(request, async (flow) => {
    const [orig, patched] = await identifyBoth(flow, request);
    const scans = await scanBoth(flow, orig, patched);
    const { pair } = await correlateBoth(flow, scans, request.twins);
    const explanation = await lastValueFrom(
      flow.task('assess', null, 'explain', { pair, symbol: request.symbol, context: request.context }, () => ({
        items: 1,
        bytes: 0,
      })),
    );
    await addSourceLines([explanation], { orig: orig.copy ?? orig.path, patched: patched.copy ?? patched.path });
    checkUnchanged([orig, patched]);
    if (patches.length === 0) return explanation;
    const { name, file } = explanation;
    return { ...explanation, hunks: tiesOf(hunks, { name, unit: file, places: placesOf(explanation) }) };
  });
}
