import { ADD_ABS_LO12_NC, ADR_PREL_PG_HI21, ADR_PREL_PG_HI21_NC } from './aarch64-relocations';
import { distanceOf, formOf } from './aarch64-decode';
import { FP, SP, handedBy, isCall, placeOf, readBy, type MemoryPlace } from './aarch64-operands';
import type { PointerMade } from './arch';
import { wordAt } from './plain';

/** What a register or slot of the stack may hold: an address moved by some bytes, by these instructions. */
interface Value {
  made: number;
  moved: number;
  by: readonly number[];
}

type Values = Map<string, Value>;
/** By register; slots of the stack come behind. */
type State = Map<number, Values>;

/** Registers that a call leaves as they are. */
const KEPT = (register: number): boolean => register >= 19 && register !== 30;
/** Behind the numbers of registers: slots, by their distance from the stack's end, which may be negative. */
const SLOTS = 0x10000;
/** So many values of one register, and so many instructions gone through for one of the code, and at least: more are no compiler's, and tell nothing. */
const MOST_VALUES = 32;
const MOST_STEPS = 64;
const LEAST_STEPS = 2 ** 20;

/**
 * How far from each address that code makes it reads or writes memory, or hands the address on: compilers name several variables of one section
 * by one address and a distance in the instruction (GCC's -fsection-anchors, the default on this processor; Clang's GlobalMerge), so that the relocation
 * tells one variable and the code means another. Follows values through registers and the stack along all ways; a pointer that a loop moves is
 * within its object. Null: nothing tells.
 */
export function distancesUsed(
  code: Uint8Array,
  pointers: readonly PointerMade[],
): ReadonlyArray<ReadonlySet<number> | null> {
  return new Follower(code, pointers).run();
}

class Follower {
  private readonly states: State[] = [];
  private readonly made = new Map<number, number>();
  private readonly pending: number[] = [];
  private readonly used: Array<Set<number>>;
  /** What lies in the frame is named from the stack's end or from the frame pointer, so much above it. */
  private readonly frame: number;
  private readonly joins: Uint8Array;
  private lost = false;
  private left: number;

  constructor(
    private readonly code: Uint8Array,
    private readonly pointers: readonly PointerMade[],
  ) {
    this.used = pointers.map(() => new Set<number>());
    pointers.forEach(({ offset, type }, i) => {
      if (type === ADD_ABS_LO12_NC) this.made.set(offset, i);
      // A page is nothing by itself; whatever else is relocated means what is named.
      else if (type !== ADR_PREL_PG_HI21 && type !== ADR_PREL_PG_HI21_NC) this.used[i]!.add(0);
    });
    this.frame = frameOf(code);
    this.left = LEAST_STEPS + MOST_STEPS * (code.length / 4);
    this.joins = this.made.size === 0 ? new Uint8Array(0) : this.findJoins();
  }

  /** Marks the instructions to which more than the one before leads. */
  private findJoins(): Uint8Array {
    const joins = new Uint8Array(this.code.length / 4 + 1);
    // Behind the end.
    joins[joins.length - 1] = 1;
    for (const offset of this.made.keys()) joins[offset / 4] = 1;
    for (let at = 0; at + 4 <= this.code.length; at += 4) {
      const word = wordAt(this.code, at);
      if ((word & 0x1c000000) >>> 0 !== 0x14000000) continue;
      if (isAnywhere(word)) return joins.fill(1);
      const form = formOf(word);
      const to = form?.branch === true ? at + distanceOf(word, form) : -1;
      if (to >= 0 && to < this.code.length) joins[to / 4] = 1;
    }
    return joins;
  }

  run(): ReadonlyArray<ReadonlySet<number> | null> {
    if (this.made.size === 0) return this.used;
    for (const offset of this.made.keys()) this.enter(offset, new Map());
    while (!this.lost && this.pending.length > 0) {
      let at: number | undefined = this.pending.pop()!;
      const state: State = new Map(this.states[at / 4]);
      while (at !== undefined) {
        if (this.left-- < 0) this.lost = true;
        at = this.lost ? undefined : this.after(at, state);
      }
    }
    return this.lost ? this.pointers.map(() => null) : this.used;
  }

  /** Goes through an instruction. @returns the next one, if nothing but this one leads there */
  private after(at: number, state: State): number | undefined {
    const word = wordAt(this.code, at);
    if (word < 0) return undefined;
    this.step(at, word, state);
    // Where no pointer is left nothing is followed.
    if (state.size === 0) return undefined;
    let on: number | undefined;
    for (const next of this.next(at, word))
      if (next === at + 4 && this.joins[next / 4] === 0) on = next;
      else this.enter(next, state);
    return on;
  }

  /** Joins a state with what is known before an instruction; goes on from there if that is more. */
  private enter(at: number, state: State): void {
    if (at < 0 || at + 4 > this.code.length) {
      // To another function.
      for (let register = 0; register < 8; register++) this.use(state.get(register));
      return;
    }
    this.left--;
    const known = this.states[at / 4];
    if (known === undefined) {
      this.states[at / 4] = new Map([...state].map(([register, values]) => [register, new Map(values)]));
      this.pending.push(at);
      return;
    }
    let more = false;
    for (const [register, values] of state) {
      const there = known.get(register) ?? new Map<string, Value>();
      known.set(register, there);
      for (const [key, value] of values) if (!there.has(key)) more = there.set(key, value).size > 0;
      if (there.size > MOST_VALUES) this.lost = true;
    }
    if (more) this.pending.push(at);
  }

  private next(at: number, word: number): Iterable<number> {
    if ((word & 0x1c000000) >>> 0 !== 0x14000000) return word >>> 16 === 0 ? [] : [at + 4];
    const form = formOf(word);
    if ((word & 0xfc000000) >>> 0 === 0x14000000) return [at + distanceOf(word, form!)];
    if (form?.branch === true && (word & 0xfc000000) >>> 0 !== 0x94000000) return [at + 4, at + distanceOf(word, form)];
    // `br` goes on anywhere: to a case of a switch.
    if (isAnywhere(word)) return Array.from({ length: this.code.length / 4 }, (_, i) => i * 4);
    if ((word & 0xfe000000) >>> 0 === 0xd6000000 && !isCall(word)) return [];
    return word >>> 21 === 0x6a1 ? [] : [at + 4];
  }

  /** Makes the state that behind an instruction. */
  private step(at: number, word: number, state: State): void {
    const [d, n, m] = [word & 31, (word >>> 5) & 31, (word >>> 16) & 31];
    const of = (register: number): Values | undefined => state.get(register);
    const put = (register: number, values: Values | undefined): void => {
      if (values === undefined || values.size === 0) state.delete(register);
      else state.set(register, values);
    };
    const made = this.made.get(at);
    if (made === undefined && !this.touches(word, state)) return;
    if (made !== undefined) put(d, new Map([[`${made} 0`, { made, moved: 0, by: [] }]]));
    else if ((word & 0xff800000) >>> 0 === 0x91000000 || (word & 0xff800000) >>> 0 === 0xd1000000) {
      const amount = ((word >>> 10) & 0xfff) << ((word >>> 22) & 1 ? 12 : 0);
      put(d, this.move(of(n), (word & 0x40000000) === 0 ? amount : -amount, at));
    } else if ((word & 0xffe0ffe0) >>> 0 === 0xaa0003e0) put(d, of(m));
    else if ((word & 0xff200000) >>> 0 === 0x8b000000 || (word & 0xffe00000) >>> 0 === 0x8b200000) {
      // Moved by nobody knows what: what it is counted from is meant, and what is reached from there.
      this.use(of(n));
      this.use(of(m));
      put(d, new Map([...(of(n) ?? []), ...(of(m) ?? [])]));
    } else if ((word & 0xffe00000) >>> 0 === 0x9a800000 || (word & 0xffe00000) >>> 0 === 0xda800000)
      // csel, csinc: one or the other.
      put(d, new Map([...(of(n) ?? []), ...(of(m) ?? [])]));
    else {
      const place = placeOf(word);
      if (place !== undefined) this.memory(at, place, state, put);
      else {
        for (const register of readBy(word)) this.use(of(register));
        for (const register of handedBy(word)) this.use(of(register));
        if (isCall(word)) for (const register of [...state.keys()]) if (!KEPT(register)) state.delete(register);
        if ((word & 0x1c000000) >>> 0 !== 0x14000000) put(d, undefined);
      }
    }
  }

  /** Whether an instruction may do something to what is known: most do not. */
  private touches(word: number, state: State): boolean {
    const n = (word >>> 5) & 31;
    return (
      state.has(word & 31) ||
      state.has(n) ||
      state.has((word >>> 16) & 31) ||
      state.has((word >>> 10) & 31) ||
      n === SP ||
      n === FP ||
      // Branches, calls, returns.
      (word & 0x1c000000) >>> 0 === 0x14000000
    );
  }

  private memory(
    at: number,
    place: MemoryPlace,
    state: State,
    put: (register: number, values: Values | undefined) => void,
  ): void {
    const { base, distance, back, exact, loads, registers, size } = place;
    const pointer = state.get(base);
    this.use(pointer, exact ? distance : 0);
    const onStack = base === SP || base === FP;
    const slot = (i: number): number => SLOTS + distance + i * size + (base === FP ? this.frame : 0);
    registers.forEach((register, i) => {
      if (loads) put(register, onStack && exact && size === 8 ? state.get(slot(i)) : undefined);
      else {
        const values = state.get(register);
        this.use(values);
        if (!onStack || !exact) return;
        if (values === undefined) state.delete(slot(i));
        else state.set(slot(i), values);
      }
    });
    if (back && base !== SP) put(base, this.move(pointer, distance, at));
  }

  private use(values: Values | undefined, distance = 0): void {
    for (const { made, moved } of values?.values() ?? []) this.used[made]!.add(moved + distance);
  }

  /** Values moved by an instruction. */
  private move(values: Values | undefined, distance: number, at: number): Values | undefined {
    if (values === undefined) return undefined;
    const moved: Values = new Map();
    for (const value of values.values()) {
      const again = value.by.includes(at);
      const to = again ? value.moved : value.moved + distance;
      const by = again ? value.by : [...value.by, at].sort((a, b) => a - b);
      moved.set(`${value.made} ${to} ${by.join(' ')}`, { made: value.made, moved: to, by });
    }
    return moved;
  }
}

/** `br` and its kin. */
function isAnywhere(word: number): boolean {
  return (word & 0xfffff800) >>> 0 === 0xd61f0000 || (word & 0xfffff800) >>> 0 === 0xd71f0800;
}

/** How far `add x29, sp, #N` or `mov x29, sp` puts the frame pointer above the stack's end. */
function frameOf(code: Uint8Array): number {
  for (let at = 0; at + 4 <= code.length; at += 4) {
    const word = wordAt(code, at);
    if ((word & 0xffc003ff) >>> 0 === 0x910003fd) return (word >>> 10) & 0xfff;
  }
  return 0;
}
