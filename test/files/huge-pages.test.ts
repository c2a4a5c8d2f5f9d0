import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { useHugePages } from '../../src/files/huge-pages';

const HERE = existsSync('/sys/kernel/mm/transparent_hugepage/enabled');

/** Kilobytes of this process whose pages the kernel was asked to make huge (`hg` among the flags of a mapping). */
function advised(): number {
  return readFileSync('/proc/self/smaps', 'latin1')
    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
    .filter((mapping) => /^VmFlags:.* hg( |$)/m.test(mapping))
    .reduce((sum, mapping) => sum + Number(/^Size:\s+(\d+)/m.exec(mapping)![1]), 0);
}

test.runIf(HERE)('the advice reaches the kernel, for the memory behind `start` only', () => {
  // It is only an advice, so nothing fails where it is lost: runs would take 4 % more processor time, and that would be all.
  const memory = new WebAssembly.Memory({ initial: 160, maximum: 160, shared: true });
  const before = advised();
  useHugePages(memory.buffer, 32 * 65536);
  expect(advised() - before).toBe(128 * 64);
});

test('memory that cannot be advised is left as it is', () => {
  const words = new Uint32Array(new SharedArrayBuffer(64)).fill(7);
  useHugePages(words.buffer as SharedArrayBuffer, 4);
  expect([...words]).toEqual(Array<number>(16).fill(7));
});
