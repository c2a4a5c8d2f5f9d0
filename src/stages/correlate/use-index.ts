import { USE_WORDS } from '../scan';

const NOBODY: ReadonlySet<number> = new Set();

/** Where the two symbols stand in the words of a use, and the slot between them. */
const USER = 0;
const SLOT = 1;
const TARGET = 2;

/**
 * Uses of one object, found by user and by target. A kernel has 40,000 by 20,000 users: they stay words of one column, and a
 * list is made only for whom somebody asks.
 */
export class UseIndex {
  private readonly byUser: Chains;
  private byTarget: Chains | undefined;
  private readonly users = new Map<number, ReadonlySet<number>>();

  /** @param symbols how many the object has; what a damaged record says of others, or to them, is passed over */
  constructor(readonly words: Uint32Array, private readonly symbols: number) {
    this.byUser = new Chains(words, USER, symbols);
  }

  /** The distinct users of a target. */
  usersOf(target: number): ReadonlySet<number> {
    let users = this.users.get(target);
    if (users === undefined) {
      const { targets } = this;
      users = targets.first[target] === 0 ? NOBODY : new Set();
      for (let use = targets.first[target]!; use !== 0; use = targets.next[use]!) (users as Set<number>).add(this.words[use * USE_WORDS - USE_WORDS + USER]!);
      this.users.set(target, users);
    }
    return users;
  }

  isUsed(target: number): boolean {
    return this.targets.first[target] !== 0;
  }

  /** Number of the first use that a user makes, in scan order; 0 for none. */
  firstOf(user: number): number {
    return this.byUser.first[user]!;
  }

  /** Number of the same user's next use; 0 behind the last. */
  after(use: number): number {
    return this.byUser.next[use]!;
  }

  slot(use: number): number {
    return this.words[use * USE_WORDS - USE_WORDS + SLOT]!;
  }

  target(use: number): number {
    return this.words[use * USE_WORDS - USE_WORDS + TARGET]!;
  }

  /** [slot, target] of every use a user makes, by slot; several of one slot keep scan order. */
  of(user: number): Array<[slot: number, target: number]> {
    const uses: Array<[number, number]> = [];
    for (let use = this.firstOf(user); use !== 0; use = this.after(use)) uses.push([this.slot(use), this.target(use)]);
    return uses.sort((a, b) => a[0] - b[0]);
  }

  private get targets(): Chains {
    return (this.byTarget ??= new Chains(this.words, TARGET, this.symbols));
  }
}

export interface BothUses {
  orig: UseIndex;
  patched: UseIndex;
}

/** Numbers of uses, from 1 on, in chains by the symbol that stands in one of their words. Only the uses are gone through, not the symbols. */
class Chains {
  /** By symbol: its first use, 0 for none. */
  readonly first: Uint32Array;
  /** By use: the same symbol's next one, 0 for none. */
  readonly next: Uint32Array;

  constructor(words: Uint32Array, column: number, symbols: number) {
    const first = new Uint32Array(symbols);
    const next = new Uint32Array(words.length / USE_WORDS + 1);
    // From the last on, so that chains are in scan order.
    for (let use = next.length - 1, at = words.length - USE_WORDS; use > 0; use--, at -= USE_WORDS) {
      if (words[at + USER]! >= symbols || words[at + TARGET]! >= symbols) continue;
      const symbol = words[at + column]!;
      next[use] = first[symbol]!;
      first[symbol] = use;
    }
    this.first = first;
    this.next = next;
  }
}
