/** Which general registers an instruction reads, and where in memory; by the encoding's classes (Arm ARM, "C4.1 A64 instruction set encoding"). */

export const SP = 31;
export const FP = 29;

/** What a load or store of registers does. */
export interface MemoryPlace {
  base: number;
  /** From the base. */
  distance: number;
  /** The base is moved by the distance. */
  back: boolean;
  /** Memory is accessed at the distance; else at the base, which is moved afterwards. */
  exact: boolean;
  loads: boolean;
  /** General ones, one behind the other in memory. */
  registers: readonly number[];
  /** Bytes of each. */
  size: number;
}

/** The place of a load or store at a distance that the instruction has; undefined for all other instructions. */
export function placeOf(word: number): MemoryPlace | undefined {
  if ((word & 0x0a000000) >>> 0 !== 0x08000000) return undefined;
  const vector = ((word >>> 26) & 1) === 1;
  const [t, base, t2] = [word & 31, (word >>> 5) & 31, (word >>> 10) & 31];
  const common = { base, back: false, exact: true, registers: vector ? [] : [t] };
  const log = sizeOf(word, vector);
  const loads = ((word >>> 22) & 3) !== 0;
  if ((word & 0x3b000000) >>> 0 === 0x39000000)
    return { ...common, distance: ((word >>> 10) & 0xfff) << log, loads, size: 1 << log };
  if ((word & 0x3b200000) >>> 0 === 0x38000000) {
    const kind = (word >>> 10) & 3;
    return {
      ...common,
      distance: (word << 11) >> 23,
      back: (kind & 1) === 1,
      exact: kind !== 1,
      loads,
      size: 1 << log,
    };
  }
  if ((word & 0x3a000000) >>> 0 === 0x28000000) {
    const mode = (word >>> 23) & 3;
    const pairLog = vector ? 2 + (word >>> 30) : word >>> 31 ? 3 : 2;
    return {
      ...common,
      distance: ((word << 10) >> 25) << pairLog,
      back: mode === 1 || mode === 3,
      exact: mode !== 1,
      loads: ((word >>> 22) & 1) === 1,
      registers: vector ? [] : [t, t2],
      size: 1 << pairLog,
    };
  }
  return undefined;
}

/** The registers that any other instruction may read: none is left out, some of vectors are named. */
export function readBy(word: number): number[] {
  const [d, n, a, m] = [word & 31, (word >>> 5) & 31, (word >>> 10) & 31, (word >>> 16) & 31];
  switch ((word >>> 25) & 15) {
    case 8:
    case 9: {
      const kind = (word >>> 23) & 7;
      // `adr`, `movz` and `movn` read none; `movk` and `bfm` what they change.
      if (kind < 2) return [];
      if (kind === 5) return ((word >>> 29) & 3) === 3 ? [d] : [];
      return kind === 6 ? [n, d] : kind === 7 ? [n, m] : [n];
    }
    case 10:
    case 11:
      if ((word & 0x7c000000) >>> 0 === 0x14000000) return [];
      if ((word & 0x7c000000) >>> 0 === 0x34000000) return [d];
      return (word & 0xfe000000) >>> 0 === 0xd6000000 ? [n] : (word & 0xffe00000) >>> 0 === 0xd5000000 ? [d] : [];
    case 4:
    case 6:
    case 12:
    case 14:
      // Literals; a register's distance, exclusive and atomic accesses.
      if ((word & 0x3b000000) >>> 0 === 0x18000000) return [];
      return (word & 0x3b200c00) >>> 0 === 0x38200800
        ? [n, m, ...(((word >>> 22) & 3) === 0 ? [d] : [])]
        : [d, n, a, m];
    case 5:
    case 13:
      return (word & 0x1f000000) >>> 0 === 0x1b000000
        ? [n, m, a]
        : (word & 0x1fe00800) >>> 0 === 0x1a400800
          ? [n]
          : [n, m];
    default:
      return [n];
  }
}

/** Registers that go to who is called, jumped to, or returned to; that x1 returns half a structure is not thought of. */
export function handedBy(word: number): number[] {
  const returns = (word & 0xfefff800) >>> 0 === 0xd65f0000;
  const leaves = isCall(word) || (word & 0xfe000000) >>> 0 === 0xd6000000;
  return returns ? [0] : leaves ? [0, 1, 2, 3, 4, 5, 6, 7] : [];
}

/** `bl`, `blr` and its kin. */
export function isCall(word: number): boolean {
  return (word & 0xfc000000) >>> 0 === 0x94000000 || (word & 0xfefff000) >>> 0 === 0xd63f0000;
}

/** Log2 of the bytes that a load or store of one register takes. */
function sizeOf(word: number, vector: boolean): number {
  const size = word >>> 30;
  return vector && size === 0 && ((word >>> 23) & 1) === 1 ? 4 : size;
}
