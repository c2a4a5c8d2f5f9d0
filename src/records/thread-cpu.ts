import { openSync, readSync } from 'node:fs';

const bytes = Buffer.alloc(64);
let schedstat: number | undefined;

/**
 * Milliseconds of processor time that the calling thread has had. Where threads are more than cores, wall time says how long a thread waited.
 *
 * The kernel brings the figure up to date at its clock tick, 1 to 10 ms apart: good for sums of tasks, not for a short one. Elsewhere than on
 * Linux, and on kernels without CONFIG_SCHED_INFO, it is wall time. A call takes 2 microseconds.
 */
export function threadCpuMs(): number {
  try {
    schedstat ??= openSync('/proc/thread-self/schedstat', 'r');
    const text = bytes.toString('latin1', 0, readSync(schedstat, bytes, 0, bytes.length, 0));
    // Nanoseconds on a processor, nanoseconds of waiting for one, how often it got one: never 0, where any of it is counted.
    if (!text.startsWith('0 0 0')) return Number.parseInt(text, 10) / 1e6;
  } catch {
    // There is no such file.
    schedstat = -1;
  }
  return performance.now();
}
