import type { Op } from './model';
import { Random } from './random';

/** Runs of two to six such instructions, in 256 kinds: most code refers to nothing. */
export function runsOf(instructions: ReadonlyArray<readonly number[]>): ReadonlyArray<Extract<Op, { kind: 'plain' }>> {
  return Array.from({ length: 256 }, (_, i) => {
    const random = new Random(i, 14);
    return { kind: 'plain', bytes: Array.from({ length: 2 + (i % 5) }, () => random.pick(instructions)).flat() };
  });
}
