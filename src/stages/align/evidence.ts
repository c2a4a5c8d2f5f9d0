import type { SymbolIndex } from '../../elf';
import type { Side } from '../side/side';
import type { Group, Pairing } from '../correlate';
import { Trait } from '../scan';
import { withAnchors } from './anchors';
import { blockPartners, blocksAffirm, blocksDeny } from './blocks';
import { WHOLE, likeness, stepsOf, type OpenMembers, type Step } from './instructions';
import { contenders, type Used } from './shortfall';

/** Two functions of more instructions than this, multiplied, are aligned piece by piece. */
const MOST_CELLS = 4_000_000;

/** What functions say of one symbol being another. */
export interface Testimony {
  /** How much the best alignment in which it is falls short of the best of all, by instructions. */
  shortfall: number;
  /** And with anchors. */
  anchored: number;
  /** Every use of either is a whole instruction that the other's is, too: nothing was inlined that brought another of the name. */
  whole: boolean;
  /** Blocks with the same message or callee say that they are two. */
  denied: boolean;
  /** And here that they are one; or the one function is the other without some instructions, and all that is left is as it was. */
  affirmed: boolean;
}

/** By ORIG's and by PATCHED's symbol. */
export type Testimonies = Map<number, Map<number, Testimony>>;

/**
 * Aligns functions of both builds and says how well each open symbol that the one uses goes with each that the other does.
 * Decoded functions are kept: a group may have many members in one.
 */
export class AlignedUses {
  private readonly steps = new Map<string, Step[]>();

  constructor(
    private readonly pairing: Pairing,
    private readonly orig: Side,
    private readonly patched: Side,
  ) {}

  /** What two functions say of `group`'s members. */
  between(user: number, other: number, group: Group): Testimonies {
    const members: OpenMembers = {
      orig: new Set(group.orig.map((symbol) => this.orig.table.canonical[symbol]!)),
      patched: new Set(group.patched.map((symbol) => this.patched.table.canonical[symbol]!)),
    };
    const found: Testimonies = new Map();
    const [all, others] = [this.stepsOf('orig', user), this.stepsOf('patched', other)];
    const partners = blockPartners(members, all, others, (i, j) =>
      likeness(this.pairing, members, all[i]!, others[j]!),
    );
    for (const [ours, theirs] of pieces(members, all, others)) {
      const usesOurs = uses(ours, members.orig);
      const usesTheirs = uses(theirs, members.patched);
      if (usesOurs.length === 0 || usesTheirs.length === 0) continue;
      const alike = (i: number, j: number): number => likeness(this.pairing, members, ours[i]!, theirs[j]!);
      const anchored = contenders(
        ours.length,
        theirs.length,
        withAnchors(members, ours, theirs, alike),
        usesOurs,
        usesTheirs,
      );
      // The same pairs in the same order: an anchor scores where the instruction does.
      contenders(ours.length, theirs.length, alike, usesOurs, usesTheirs).forEach(({ a, b, shortfall, pure }, at) => {
        const whole = a.at.length === b.at.length && a.at.every((i, k) => alike(i, b.at[k]!) === WHOLE);
        const row = found.get(a.symbol) ?? new Map<number, Testimony>();
        found.set(
          a.symbol,
          row.set(
            b.symbol,
            agreed(row.get(b.symbol), {
              shortfall,
              anchored: anchored[at]!.shortfall,
              whole,
              denied: blocksDeny(partners, a.symbol, b.symbol),
              affirmed: pure || blocksAffirm(partners, a.symbol, b.symbol),
            }),
          ),
        );
      });
    }
    return found;
  }

  /** Whether a function uses another symbol of this one's base name, too. */
  usesNamesake(name: 'orig' | 'patched', user: number, symbol: SymbolIndex): boolean {
    const { hash } = this[name].table;
    return this.stepsOf(name, user).some(({ references }) =>
      references.some(
        ({ symbol: other }) =>
          other !== symbol && hash[other * 2] === hash[symbol * 2] && hash[other * 2 + 1] === hash[symbol * 2 + 1],
      ),
    );
  }

  private stepsOf(name: 'orig' | 'patched', symbol: SymbolIndex): Step[] {
    const key = `${name}:${symbol}`;
    let steps = this.steps.get(key);
    // Data has no instructions: what lies at one offset of both goes together, and is told without this.
    if (steps === undefined)
      this.steps.set(key, (steps = this[name].table.has(symbol, Trait.OBJECT) ? [] : stepsOf(this[name], symbol)));
    return steps;
  }
}

/** The members that some instructions use. */
function uses(steps: readonly Step[], members: ReadonlySet<number>): Used[] {
  const found = new Map<number, number[]>();
  steps.forEach(({ references }, i) => {
    for (const { symbol } of references) {
      if (!members.has(symbol)) continue;
      const at = found.get(symbol);
      if (at === undefined) found.set(symbol, [i]);
      else at.push(i);
    }
  });
  return [...found].map(([symbol, at]) => ({ symbol, at }));
}

/** Two functions in pieces that are small enough, cut at instructions with a reference that each has once. */
function pieces(members: OpenMembers, ours: Step[], theirs: Step[]): Array<[Step[], Step[]]> {
  if (ours.length * theirs.length <= MOST_CELLS) return [[ours, theirs]];
  const sole = (steps: readonly Step[], open: ReadonlySet<number>): Map<string, number> => {
    const found = new Map<string, number>();
    steps.forEach(({ text, references }, step) => {
      if (references.length === 0 || references.some(({ symbol }) => symbol !== 0 || open.has(symbol))) return;
      const key = `${text} ${references.map(({ what }) => what).join()}`;
      found.set(key, found.has(key) ? -1 : step);
    });
    return found;
  };
  const others = sole(theirs, members.patched);
  const anchors = increasing(
    [...sole(ours, members.orig)]
      .map(([key, step]): [number, number] => [step, others.get(key) ?? -1])
      .filter(([step, other]) => step >= 0 && other >= 0),
  );
  const cut: Array<[Step[], Step[]]> = [];
  let [i, j] = [0, 0];
  for (const [x, y] of [...anchors, [ours.length, theirs.length] as [number, number]]) {
    if ((x - i) * (y - j) <= MOST_CELLS) cut.push([ours.slice(i, x), theirs.slice(j, y)]);
    [i, j] = [x, y];
  }
  return cut;
}

/** The longest chain of pairs, in order of the first, whose second increases. */
function increasing(pairs: Array<[number, number]>): Array<[number, number]> {
  const tails: number[] = [];
  const before: number[] = [];
  pairs.forEach(([, value], i) => {
    let at = tails.findIndex((tail) => pairs[tail]![1] >= value);
    if (at < 0) at = tails.length;
    before[i] = at === 0 ? -1 : tails[at - 1]!;
    tails[at] = i;
  });
  const chain: Array<[number, number]> = [];
  for (let i = tails.at(-1) ?? -1; i >= 0; i = before[i]!) chain.unshift(pairs[i]!);
  return chain;
}

/** What two functions say together: what one holds against it no other makes good. */
export function agreed(known: Testimony | undefined, more: Testimony): Testimony {
  return known === undefined
    ? more
    : {
        shortfall: Math.max(known.shortfall, more.shortfall),
        anchored: Math.max(known.anchored, more.anchored),
        whole: known.whole && more.whole,
        denied: known.denied || more.denied,
        affirmed: known.affirmed && more.affirmed,
      };
}

/** How much a reading falls short by the score that has most against it. */
export function shortOf(reading: Testimony | undefined): number {
  return reading === undefined ? Infinity : Math.max(reading.shortfall, reading.anchored);
}
