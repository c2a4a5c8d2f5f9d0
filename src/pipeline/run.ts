import { Flow, type RunOptions } from './flow';
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
  return {
    ...flow.times(),
    peakAnonBytes: flow.pool.peakAnonBytes,
    neededBytes: flow.neededBytes,
    workers: flow.pool.workers,
    runDir: flow.runDir.path,
  };
}
