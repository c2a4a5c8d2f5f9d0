import type { MatrixPages } from '../../index';
import { matrixPage } from './matrix-page';
import { reportPage } from './page';

/** The pages of a matrix: of all cells, and of each one without the code of functions, for which there is `klpflow report`. */
export function matrixPages(title: string, version: string): MatrixPages {
  return {
    index: (result, links) => matrixPage(result, title, version, links),
    cell({ cell, result: found }, diagnostics) {
      const { verdict, diff } = found!;
      const nothing = { schema: 'klpflow/diff@1' as const, objects: [], output: null, evidence: null };
      const result = { ...(diff ?? nothing), verdict, diagnostics: [...diagnostics], run: UNTIMED };
      return reportPage({ version, result, inputs: [], code: [] }, `${cell.kernel.name}, ${cell.patch.name}`);
    },
  };
}

/** Of a result that is kept nothing is known of its run. */
const UNTIMED = {
  stages: [],
  seconds: 0,
  cpuSeconds: 0,
  mainCpuSeconds: 0,
  peakAnonBytes: 0,
  neededBytes: 0,
  workers: 0,
  runDir: '',
};
