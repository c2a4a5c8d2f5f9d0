import { candidates } from '../stages/compare';
import { correlateBoth, identifyBoth, scanBoth, type PairRequest } from './pair';
import { checkUnchanged } from './files';
import type { DeclaredTwin } from '../stages/declared-twins';
import { report, withFlow } from './run';
import type { RunReport } from './types';

/** What `correlate` found, in numbers and names. */
export interface CorrelateResult {
  schema: 'klpflow/correlate@1';
  paired: Record<string, number>;
  candidates: number;
  ambiguous: number;
  units: { removed: number; added: number };
  /** Pairs that were declared by hand; left out where there are none. */
  twins?: DeclaredTwin[];
  run: RunReport;
}

/** Runs the stages up to correlate. */
export async function correlateObjects(request: PairRequest): Promise<CorrelateResult> {
  return withFlow(request, async (flow) => {
    const [orig, patched] = await identifyBoth(flow, request);
    const scans = await scanBoth(flow, orig, patched);
    const { correlation } = await correlateBoth(flow, scans, request.twins);
    checkUnchanged([orig, patched]);
    const { pairing, ambiguous, units } = correlation;
    return {
      schema: 'klpflow/correlate@1',
      paired: pairing.counts(),
      candidates: candidates(correlation).pairs.length / 2,
      ambiguous: ambiguous.length,
      units: { removed: units.removed.length, added: units.added.length },
      ...(request.twins === undefined || request.twins.length === 0 ? {} : { twins: [...request.twins] }),
      run: report(flow),
    };
  });
}
