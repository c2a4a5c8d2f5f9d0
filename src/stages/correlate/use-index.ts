import { USE_WORDS } from '../scan';

const NOBODY: ReadonlySet<number> = new Set();

/** Where the two symbols stand in the words of a use. */
const USER = 0;
const TARGET = 2;

/**
 * Uses of one object, found by user and by target. A kernel has 40,000 by 20,000 users: they stay words of one column, and a
 * list is made only for whom somebody asks.
 */
export class UseIndex {
  private readonly byUser: Rows;
  private byTarget: Rows | undefined;
  private readonly users = new Map<number, ReadonlySet<number>>();

  /** @param symbols how many the object has; what a damaged record says of others, or to them, is passed over */
  constructor(readonly words: Uint32Array, private readonly symbols: number) {
    this.byUser = new Rows(words, USER, symbols);
  }

  /** The distinct users of a target. */
  usersOf(target: number): ReadonlySet<number> {
    let users = this.users.get(target);
    if (users === undefined) {
      const row = this.targets.row(target);
      if (row.length === 0) return NOBODY;
      this.users.set(target, (users = new Set(Array.from(row, (at) => this.words[at]!))));
    }
    return users;
  }

  isUsed(target: number): boolean {
    return this.targets.row(target).length > 0;
  }

  /** Word numbers of the uses that a user makes, in scan order. */
  wordsOf(user: number): Uint32Array {
    return this.byUser.row(user);
  }

  /** [slot, target] of every use a user makes, by slot; several of one slot keep scan order. */
  of(user: number): Array<[slot: number, target: number]> {
    const uses = Array.from(this.wordsOf(user), (at): [number, number] => [this.words[at + 1]!, this.words[at + 2]!]);
    return uses.sort((a, b) => a[0] - b[0]);
  }

  private get targets(): Rows {
    return (this.byTarget ??= new Rows(this.words, TARGET, this.symbols));
  }
}

export interface BothUses {
  orig: UseIndex;
  patched: UseIndex;
}

/** Word numbers of uses, grouped by the symbol that stands in one of their words. */
class Rows {
  /** By symbol: where its row begins; it ends where the next one's begins. */
  private readonly starts: Uint32Array;
  private readonly places: Uint32Array;

  constructor(words: Uint32Array, column: number, symbols: number) {
    this.starts = new Uint32Array(symbols + 2);
    const known = (at: number): boolean => words[at + USER]! < symbols && words[at + TARGET]! < symbols;
    // Counted one place further, summed, and moved up while the rows fill: then each start is its own row's.
    for (let at = 0; at < words.length; at += USE_WORDS) if (known(at)) this.starts[words[at + column]! + 2]!++;
    for (let symbol = 2; symbol < symbols + 2; symbol++) this.starts[symbol]! += this.starts[symbol - 1]!;
    this.places = new Uint32Array(this.starts[symbols + 1]!);
    for (let at = 0; at < words.length; at += USE_WORDS) if (known(at)) this.places[this.starts[words[at + column]! + 1]!++] = at;
  }

  row(symbol: number): Uint32Array {
    return this.places.subarray(this.starts[symbol], this.starts[symbol + 1]);
  }
}
