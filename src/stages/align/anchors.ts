import { WHOLE, type OpenMembers, type Step } from './instructions';

/** As much as 16 instructions: more than a block that only looks the same has in common. A byte holds it. */
const ANCHOR = 16 * WHOLE;

/**
 * Scores that go by what each function refers to once: a message, a callee. Blocks of one form are alike whatever they say: where of
 * three `if (ratelimit(&rs)) printk(...)` the second was removed and a fourth added, instructions count as if every block had moved up by
 * one. Neither score is right by itself (a callee may move to another block), so both have to agree.
 */
export function withAnchors(
  members: OpenMembers,
  ours: readonly Step[],
  theirs: readonly Step[],
  alike: (i: number, j: number) => number,
): (i: number, j: number) => number {
  const [a, b] = [anchorsIn(ours, members.orig), anchorsIn(theirs, members.patched)];
  return (i, j) => {
    const score = alike(i, j);
    return score > 0 && a.has(i) && b.has(j) ? ANCHOR : score;
  };
}

/** Instructions that alone refer to what they refer to, none of it open. */
export function anchorsIn(steps: readonly Step[], open: ReadonlySet<number>): Set<number> {
  const found = new Map<string, number>();
  steps.forEach(({ references }, i) => {
    if (references.length === 0 || references.some(({ symbol }) => open.has(symbol))) return;
    const key = references.map(({ symbol, what }) => `${symbol}:${what}`).join();
    found.set(key, found.has(key) ? -1 : i);
  });
  return new Set([...found.values()].filter((i) => i >= 0));
}
