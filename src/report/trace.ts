import type { TaskRecord } from '../index';

/** Tasks in Chrome's trace format, for Perfetto or chrome://tracing. Times are microseconds. */
export function chromeTrace(tasks: readonly TaskRecord[]): string {
  const first = tasks.reduce((least, { cost }) => Math.min(least, cost.start), Infinity);
  const events = tasks.map(({ name, cost }) => ({
    name,
    ph: 'X',
    pid: 1,
    tid: cost.thread,
    ts: Math.round((cost.start - first) * 1000),
    dur: Math.round((cost.end - cost.start) * 1000),
    tdur: Math.round(cost.cpu * 1000),
    args: { reused: cost.reused, miss: cost.miss },
  }));
  return JSON.stringify({ traceEvents: events });
}
