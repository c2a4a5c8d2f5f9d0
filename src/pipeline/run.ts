import { KlpflowError } from '../diagnostics';
import { fileIdentity, sameIdentity } from '../elf';
import { Flow, type RunOptions } from './flow';
import type { Identified } from './scan';
import type { RunReport } from './types';

/** Does the work of one run. @throws what the work throws, and KlpflowError `interrupted` */
export async function withFlow<T>(request: RunOptions, work: (flow: Flow) => Promise<T>): Promise<T> {
  const flow = new Flow(request);
  try {
    const result = await work(flow);
    // Asked to stop during the last task: all is recorded, and who asked is answered.
    flow.checkStopped();
    return result;
  } finally {
    // Whatever happened, tasks under way finish and record: the next run goes on from there.
    await flow.close();
    request.trace?.(flow.pool.done);
  }
}

export function report(flow: Flow): RunReport {
  return { ...flow.times(), peakAnonBytes: flow.pool.peakAnonBytes, workers: flow.pool.workers, runDir: flow.runDir.path };
}

/** @throws KlpflowError `input-changed` */
export function checkUnchanged(...inputs: readonly Identified[]): void {
  for (const { path, identity } of inputs) {
    if (!sameIdentity(fileIdentity(path), identity)) throw new KlpflowError('input-changed', `${path} changed during the run`, { object: path });
  }
}
