import { FRAME_SLOTS, STACK_SLOTS, type Step } from '../../arch';
import { NUMBER, either, joinInto, valueOfTerm, type Distance, type State, type Value } from './values';

/** What becomes of the addresses that relocated fields of a function stand for. Fields are offsets in its code. */
export interface PointerUses {
  /** Memory is accessed this far from what the field names. */
  accessed(field: number, distance: Distance): void;
  /** It is compared with pointers that come from these fields alone; with anything, where undefined. */
  compared(field: number, others: readonly number[] | undefined): void;
  /** Handed to a call, together with pointers from these fields. */
  handed(field: number, others: readonly number[]): void;
  /** Put into memory. */
  stored(field: number): void;
  /** Handed back to the caller. */
  returned(field: number): void;
}

/** A join that goes on longer takes the direction of its growth for endless. */
const JOINS_BEFORE_WIDENING = 3;

/**
 * Follows the pointers of a function through registers and the slots of its frame, and tells how they are used.
 *
 * @param isReturn whether a branch with this relocated field returns to the caller
 */
export function followPointers(
  steps: readonly Step[],
  isRelocated: (field: number) => boolean,
  isReturn: (field: number) => boolean,
  uses: PointerUses,
): void {
  const flow = new Flow(steps, isRelocated, isReturn);
  flow.settle();
  flow.tell(uses);
}

class Flow {
  private readonly at = new Map<number, number>();
  /** States before the first instructions of blocks, by number of the instruction. */
  private readonly states = new Map<number, State>();
  private readonly joins = new Map<number, number>();
  private readonly leaders: Set<number>;

  constructor(
    private readonly steps: readonly Step[],
    private readonly isRelocated: (field: number) => boolean,
    private readonly isReturn: (field: number) => boolean,
  ) {
    steps.forEach(({ offset }, i) => this.at.set(offset, i));
    this.leaders = new Set([0]);
    steps.forEach((step, i) => {
      const target = this.targetOf(step);
      if (target !== undefined) this.leaders.add(target);
      if (target !== undefined || !step.runsOn) this.leaders.add(i + 1);
    });
  }

  /** Goes round until no state changes. */
  settle(): void {
    this.states.set(0, new Map());
    this.goFrom(0);
    const reached = new Set(this.states.keys());
    // What no branch leads to is reached by a table of jumps, or never: the padding behind a return must not spoil what is known behind it.
    const others = [...this.leaders]
      .filter((leader) => leader < this.steps.length && !reached.has(leader))
      .sort((a, b) => a - b);
    if (others.length === 0) return;
    const start = this.atTables();
    for (const leader of others) {
      if (this.states.has(leader)) continue;
      this.states.set(leader, new Map(start));
      this.goFrom(leader, reached);
    }
  }

  /** What is known wherever a jump through a table leaves. */
  private atTables(): State {
    let joined: State | undefined;
    for (const [leader, before] of [...this.states]) {
      const { last, after } = this.run(leader, before);
      const { target, runsOn, hands } = this.steps[last]!;
      if (target !== undefined || runsOn || hands.length === 0) continue;
      if (joined === undefined) joined = new Map(after);
      else joinInto(joined, after, false);
    }
    return joined ?? new Map();
  }

  tell(uses: PointerUses): void {
    for (const [leader, before] of this.states)
      this.run(leader, before, (step, state) => this.reportStep(step, state, uses));
  }

  /** Not into the blocks of `done`. */
  private goFrom(first: number, done: ReadonlySet<number> = new Set()): void {
    const open = [first];
    for (let leader = open.pop(); leader !== undefined; leader = open.pop()) {
      const { last, after } = this.run(leader, this.states.get(leader)!);
      const step = this.steps[last]!;
      const next = [this.targetOf(step), step.runsOn && last + 1 < this.steps.length ? last + 1 : undefined];
      for (const successor of next)
        if (successor !== undefined && !done.has(successor) && this.enter(successor, after)) open.push(successor);
    }
  }

  private enter(leader: number, state: State): boolean {
    const known = this.states.get(leader);
    if (known === undefined) {
      this.states.set(leader, new Map(state));
      return true;
    }
    const joins = (this.joins.get(leader) ?? 0) + 1;
    this.joins.set(leader, joins);
    return joinInto(known, state, joins > JOINS_BEFORE_WIDENING);
  }

  /** Goes through a block. */
  private run(
    leader: number,
    before: State,
    visit?: (step: Step, state: State) => void,
  ): { last: number; after: State } {
    const state = new Map(before);
    for (let i = leader; ; i++) {
      const step = this.steps[i]!;
      visit?.(step, state);
      this.apply(step, state);
      if (!step.runsOn || this.targetOf(step) !== undefined || i + 1 >= this.steps.length || this.leaders.has(i + 1))
        return { last: i, after: state };
    }
  }

  private apply({ sets, loses, moves }: Step, state: State): void {
    const value = sets === undefined ? undefined : valueOfTerm(state, sets.value, this.isRelocated);
    const before = sets === undefined ? undefined : state.get(sets.register);
    for (const register of loses) state.delete(register);
    if (moves)
      for (const register of [...state.keys()])
        if (register >= STACK_SLOTS && register < FRAME_SLOTS) state.delete(register);
    if (sets === undefined) return;
    const after = !sets.may
      ? value
      : value === undefined || before === undefined
        ? undefined
        : either(before, value, false);
    if (after === undefined) state.delete(sets.register);
    else state.set(sets.register, after);
  }

  private targetOf({ target, branchField }: Step): number | undefined {
    return target === undefined || (branchField >= 0 && this.isRelocated(branchField))
      ? undefined
      : this.at.get(target);
  }

  private reportStep(step: Step, state: State, uses: PointerUses): void {
    const value = (term: Parameters<typeof valueOfTerm>[1]): Value | undefined =>
      valueOfTerm(state, term, this.isRelocated);
    for (const term of step.accesses)
      for (const [field, distance] of value(term) ?? []) if (field !== NUMBER) uses.accessed(field, distance);
    if (step.compares !== undefined) {
      const [a, b] = step.compares.map(value);
      reportCompared(a, b, uses);
      reportCompared(b, a, uses);
    }
    const leaves = step.target === undefined || this.targetOf(step) === undefined;
    const returns = step.target === undefined ? step.hands.length === 0 : leaves && this.isReturn(step.branchField);
    if (step.hands.length > 0 && leaves && !returns)
      reportHanded(
        step.hands.map((register) => state.get(register)),
        uses,
      );
    if (step.stores !== undefined) for (const field of pointersOf(value(step.stores))) uses.stored(field);
    if (step.returns !== undefined && returns)
      for (const field of pointersOf(state.get(step.returns))) uses.returned(field);
  }
}

function reportCompared(a: Value | undefined, b: Value | undefined, uses: PointerUses): void {
  for (const field of pointersOf(a)) {
    // A comparison with a constant that is no address (NULL, an error) says nothing.
    const others = b === undefined ? undefined : pointersOf(b);
    if (others === undefined || others.length > 0) uses.compared(field, others);
  }
}

function pointersOf(value: Value | undefined): number[] {
  return [...(value?.keys() ?? [])].filter((base) => base !== NUMBER);
}

function reportHanded(values: ReadonlyArray<Value | undefined>, uses: PointerUses): void {
  const fields = values.map(pointersOf);
  fields.forEach((list, i) => {
    for (const field of list)
      uses.handed(
        field,
        fields.flatMap((other, j) => (i === j ? [] : other)),
      );
  });
}
