import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { threadCpuMs } from '../../src/records';

const counted = existsSync('/proc/thread-self/schedstat');

/** Uses this thread's processor until it has had so many milliseconds of it. */
function work(milliseconds: number): void {
  const before = threadCpuMs();
  while (threadCpuMs() - before < milliseconds);
}

test.runIf(counted)('a thread that waits uses no processor time', () => {
  // Two threads that share a core were busy twice as long by the wall clock: a table of seconds a stage showed who else ran.
  work(50);
  const [cpu, wall] = [threadCpuMs(), performance.now()];
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  expect(performance.now() - wall).toBeGreaterThan(499);
  expect(threadCpuMs() - cpu).toBeLessThan(250);
});

test.runIf(counted)('what another thread does is not counted', async () => {
  const spinning = new Worker(
    'const end = performance.now() + 500; while (performance.now() < end); process.exit(0);',
    { eval: true },
  );
  const cpu = threadCpuMs();
  const before = process.cpuUsage();
  await new Promise((resolve) => spinning.once('exit', resolve));
  const { user, system } = process.cpuUsage(before);
  expect(threadCpuMs() - cpu).toBeLessThan((user + system) / 1000 / 2);
});
