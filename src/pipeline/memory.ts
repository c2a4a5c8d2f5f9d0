import { readFileSync } from 'node:fs';

/**
 * Anonymous and shared memory of this process in bytes: RssAnon + RssShmem. Mapped inputs are not in it: the kernel can
 * drop their pages whenever it likes. Falls back to the whole resident set where /proc has no such lines.
 */
export function memoryNow(): number {
  try {
    const status = readFileSync('/proc/self/status', 'latin1');
    const bytes = (Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0) + Number(/^RssShmem:\s+(\d+)/m.exec(status)?.[1] ?? 0)) * 1024;
    if (bytes > 0) return bytes;
  } catch {
    // Not Linux.
  }
  return process.memoryUsage.rss();
}
