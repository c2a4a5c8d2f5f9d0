import { anchorsIn } from './anchors';
import type { OpenMembers, Step } from './instructions';

/** By a member of ORIG: those of PATCHED that blocks of the same message or callee use. */
export type BlockPartners = ReadonlyMap<number, ReadonlySet<number>>;

/**
 * Who stands in one basic block with what both functions refer to once. Compilers lay cold blocks out in any order: where a patch put a second
 * `if (once) printk("807")` between two, GCC moved the block of "352" behind the one of "744", and in order the first flag's block went with the
 * new one's. A block that says "352" in both builds is one block, wherever it lies.
 */
export function blockPartners(
  members: OpenMembers,
  ours: readonly Step[],
  theirs: readonly Step[],
  alike: (i: number, j: number) => number,
): BlockPartners {
  const found = new Map<number, Set<number>>();
  const [mine, others] = [membersByBlock(ours, members.orig), membersByBlock(theirs, members.patched)];
  const anchors = [anchorsIn(ours, members.orig), anchorsIn(theirs, members.patched)].map((set) => [...set]);
  for (const i of anchors[0]!) {
    const here = mine.get(ours[i]!.block);
    if (here === undefined) continue;
    const twins = anchors[1]!.filter((j) => alike(i, j) > 0);
    const there = twins.length === 1 ? others.get(theirs[twins[0]!]!.block) : undefined;
    if (there === undefined) continue;
    for (const a of here) {
      const partners = found.get(a) ?? new Set<number>();
      found.set(a, partners);
      for (const b of there) partners.add(b);
    }
  }
  return found;
}

/** Whether blocks say of a pair that it is none: each of the two stands with the other's like, and they do not stand together. */
export function blocksDeny(partners: BlockPartners, a: number, b: number): boolean {
  const own = partners.get(a);
  if (own !== undefined && own.size > 0) return !own.has(b);
  return [...partners.values()].some((others) => others.has(b));
}

/** Whether blocks say of a pair that it is one: the two stand together, and neither with another. */
export function blocksAffirm(partners: BlockPartners, a: number, b: number): boolean {
  return partners.get(a)?.size === 1 && [...partners].every(([other, beside]) => beside.has(b) === (other === a));
}

function membersByBlock(steps: readonly Step[], open: ReadonlySet<number>): Map<number, Set<number>> {
  const found = new Map<number, Set<number>>();
  for (const { block, references } of steps) {
    for (const { symbol } of references) {
      if (!open.has(symbol)) continue;
      const known = found.get(block) ?? new Set<number>();
      found.set(block, known.add(symbol));
    }
  }
  return found;
}
