import { ADD_ABS_LO12_NC } from './aarch64-relocations';
import { distanceOf, formOf } from './aarch64-decode';
import type { PointerMade } from './arch';
import { wordAt } from './plain';

/** What a register or slot of the stack may hold: an object's address moved by some bytes, by these instructions. */
interface Value {
  made: number;
  moved: number;
  by: readonly number[];
}

type Values = Map<string, Value>;
/** By register; slots of the stack come behind. */
type State = Map<string, Values>;

const SP = 31;
const FP = 29;
/** Registers that a call leaves as they are. */
const KEPT = (register: string): boolean =>
  register.startsWith('s') || (Number(register) >= 19 && Number(register) < 30);

/**
 * Where code leaves the object whose address it has: GCC names variables of one section by one address and a distance in the instruction
 * (-fsection-anchors, the default on this processor), so that the relocation tells one variable and the code means another. Follows values through registers
 * and the stack along all ways; a pointer that a loop moves is within its object.
 */
export function leavesObject(code: Uint8Array, pointers: readonly PointerMade[]): number | undefined {
  return new Follower(code, pointers).run();
}

class Follower {
  private readonly states: State[] = [];
  private readonly made = new Map<number, number>();
  private readonly pending: number[] = [];
  private left: number | undefined;

  constructor(
    private readonly code: Uint8Array,
    private readonly pointers: readonly PointerMade[],
  ) {
    pointers.forEach(({ offset, type }, i) => {
      if (type === ADD_ABS_LO12_NC) this.made.set(offset, i);
    });
  }

  run(): number | undefined {
    for (const offset of this.made.keys()) this.enter(offset, new Map());
    while (this.left === undefined && this.pending.length > 0) {
      const at = this.pending.pop()!;
      const word = wordAt(this.code, at);
      if (word < 0) continue;
      const after = this.step(at, word);
      for (const next of this.next(at, word)) this.enter(next, after);
    }
    return this.left;
  }

  /** Joins a state with what is known before an instruction; goes on from there if that is more. */
  private enter(at: number, state: State): void {
    if (at < 0 || at + 4 > this.code.length) return;
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
    }
    if (more) this.pending.push(at);
  }

  private next(at: number, word: number): Iterable<number> {
    const form = formOf(word);
    if ((word & 0xfc000000) >>> 0 === 0x14000000) return [at + distanceOf(word, form!)];
    if (form?.branch === true && (word & 0xfc000000) >>> 0 !== 0x94000000) return [at + 4, at + distanceOf(word, form)];
    // `br` goes on anywhere: to a case of a switch.
    if ((word & 0xfffff800) >>> 0 === 0xd61f0000 || (word & 0xfffff800) >>> 0 === 0xd71f0800)
      return Array.from({ length: this.code.length / 4 }, (_, i) => i * 4);
    if ((word & 0xfe000000) >>> 0 === 0xd6000000 && !isCall(word)) return [];
    return word >>> 21 === 0x6a1 || word >>> 16 === 0 ? [] : [at + 4];
  }

  /** The state behind an instruction. */
  private step(at: number, word: number): State {
    const state: State = new Map(this.states[at / 4]);
    const [d, n, m] = [word & 31, (word >>> 5) & 31, (word >>> 16) & 31];
    const of = (register: number): Values | undefined => state.get(`${register}`);
    const put = (register: number, values: Values | undefined): void => {
      if (values === undefined || values.size === 0) state.delete(`${register}`);
      else state.set(`${register}`, values);
    };
    const made = this.made.get(at);
    if (made !== undefined) put(d, new Map([[`${made} 0`, { made, moved: 0, by: [] }]]));
    else if ((word & 0xbf800000) >>> 0 === 0x91000000 || (word & 0xff800000) >>> 0 === 0xd1000000) {
      const amount = ((word >>> 10) & 0xfff) << ((word >>> 22) & 1 ? 12 : 0);
      put(d, this.move(of(n), word >>> 30 === 3 ? -amount : amount, at, false));
    } else if ((word & 0xffe0ffe0) >>> 0 === 0xaa0003e0) put(d, of(m));
    else if ((word & 0xff000000) >>> 0 === 0x8b000000) put(d, new Map([...(of(n) ?? []), ...(of(m) ?? [])]));
    else if (
      (word & 0x7fe00c00) >>> 0 === 0x1a800000 ||
      (word & 0x7fe00c00) >>> 0 === 0x5a800000 ||
      (word & 0xffe00800) >>> 0 === 0x9a800000
    )
      // csel, csinc: one or the other.
      put(d, new Map([...(of(n) ?? []), ...(of(m) ?? [])]));
    else if ((word & 0x0a000000) >>> 0 === 0x08000000) this.memory(at, word, state, put);
    else if ((word & 0x1c000000) >>> 0 === 0x14000000) {
      if (isCall(word)) for (const register of [...state.keys()]) if (!KEPT(register)) state.delete(register);
    } else if ((word & 0x3fe00000) >>> 0 !== 0x3a400000 && (word & 0x0e000000) >>> 0 !== 0x0e000000) put(d, undefined);
    return state;
  }

  private memory(
    at: number,
    word: number,
    state: State,
    put: (register: number, values: Values | undefined) => void,
  ): void {
    const [t, n, t2] = [word & 31, (word >>> 5) & 31, (word >>> 10) & 31];
    const vector = ((word >>> 26) & 1) === 1;
    const kind = (word >>> 10) & 3;
    let distance = 0;
    let back = false;
    let loads = false;
    let pair = false;
    let exact = true;
    if ((word & 0x3b000000) >>> 0 === 0x39000000) {
      distance = ((word >>> 10) & 0xfff) << sizeOf(word, vector);
      loads = ((word >>> 22) & 3) !== 0;
    } else if ((word & 0x3b200000) >>> 0 === 0x38000000) {
      distance = (word << 11) >> 23;
      back = (kind & 1) === 1;
      loads = ((word >>> 22) & 3) !== 0;
      if (kind === 1) exact = false;
    } else if ((word & 0x3a000000) >>> 0 === 0x28000000) {
      const mode = (word >>> 23) & 3;
      const size = vector ? 2 + (word >>> 30) : word >>> 31 ? 3 : 2;
      distance = ((word << 10) >> 25) << size;
      back = mode === 1 || mode === 3;
      loads = ((word >>> 22) & 1) === 1;
      pair = true;
      if (mode === 1) exact = false;
    } else {
      // A register's distance, literals, exclusive accesses: what is loaded is nothing known.
      if (((word >>> 22) & 1) === 1) put(t, undefined);
      return;
    }
    const base = state.get(`${n}`);
    const slot = (i: number): string => `s${n}/${distance + i * 8}`;
    if (exact && base !== undefined) this.move(base, distance, at, true);
    const registers = pair ? [t, t2] : [t];
    registers.forEach((register, i) => {
      if (vector) return;
      if (loads) put(register, n === SP || n === FP ? state.get(slot(i)) : undefined);
      else if (n === SP || n === FP) {
        const values = state.get(`${register}`);
        if (values === undefined) state.delete(slot(i));
        else state.set(slot(i), values);
      }
    });
    if (back && n !== SP) put(n, this.move(base, distance, at, false));
  }

  /** Values moved by an instruction; finds out where one leaves its object. */
  private move(values: Values | undefined, distance: number, at: number, accessed: boolean): Values | undefined {
    if (values === undefined) return undefined;
    const moved: Values = new Map();
    for (const value of values.values()) {
      const again = value.by.includes(at);
      const to = again ? value.moved : value.moved + distance;
      const { before, behind } = this.pointers[value.made]!;
      if (!again && distance !== 0 && (to < -before || to >= behind)) this.left ??= at;
      if (accessed) continue;
      const by = again ? value.by : [...value.by, at].sort((a, b) => a - b);
      moved.set(`${value.made} ${to} ${by.join(' ')}`, { made: value.made, moved: to, by });
    }
    return moved;
  }
}

/** `bl`, `blr` and its kin. */
function isCall(word: number): boolean {
  return (word & 0xfc000000) >>> 0 === 0x94000000 || (word & 0xfefff000) >>> 0 === 0xd63f0000;
}

/** Log2 of the bytes that a load or store of one register takes. */
function sizeOf(word: number, vector: boolean): number {
  const size = word >>> 30;
  return vector && size === 0 && ((word >>> 23) & 1) === 1 ? 4 : size;
}
