import { Trait, type ScanTable } from '../scan';

/** Members of one key on both sides, in symbol-table order. */
export interface Group {
  orig: number[];
  patched: number[];
}

/** Correlatable symbols of one side that have no twin yet, with a 64-bit key each: two words a symbol. */
export interface Keyed {
  symbols: Uint32Array;
  keys: Uint32Array;
}

/** A unit of ORIG without a twin: above every symbol number, so that its locals meet nobody's. */
const UNPAIRED_UNIT = 0x8000000;
/** Above those: units of one name that nothing tells apart, whose locals meet each other. */
export const UNDECIDED_UNIT = 0xc000000;
/** Promoted symbols lost their unit; they only meet each other. */
const PROMOTED_ANYWHERE = -1;

/**
 * Keys of all unpaired correlatable symbols: base name, type and scope, mixed into 64 bits. Two of 150,000 symbols share
 * a key by accident with a probability of 10^-9; each hash word is mixed with the same numbers in another way.
 *
 * `units` maps this side's FILE symbols to what stands for the other side's; undefined leaves scope out.
 */
export function keysOf(
  table: ScanTable,
  paired: Uint32Array,
  units: Uint32Array | ((unit: number) => number) | undefined,
): Keyed {
  const { listed, listedCount, traits, hash, info, file } = table;
  const symbols = new Uint32Array(listedCount);
  const keys = new Uint32Array(listedCount * 2);
  let count = 0;
  for (let i = 0; i < listedCount; i++) {
    const symbol = listed[i]!;
    const bits = traits[symbol]!;
    if ((bits & Trait.CORRELATABLE) === 0 || paired[symbol] !== 0) continue;
    const unit = file[symbol]!;
    let scope = 0;
    if (units !== undefined)
      scope =
        (bits & Trait.PROMOTED) !== 0
          ? PROMOTED_ANYWHERE
          : unit === 0
            ? unit
            : typeof units === 'function'
              ? units(unit)
              : units[unit]! || UNPAIRED_UNIT + unit;
    scope = (Math.imul(scope, 16) + (info[symbol]! & 0xf)) | 0;
    keys[count * 2] = hash[symbol * 2]! ^ Math.imul(scope, 0x9e3779b1);
    keys[count * 2 + 1] = hash[symbol * 2 + 1]! ^ Math.imul(scope + 0x7f4a7c15, 0x85ebca6b);
    symbols[count++] = symbol;
  }
  return { symbols: symbols.subarray(0, count), keys };
}

/**
 * Joins both sides by key. Keys with one symbol on each side, nearly all of them, go to `single`; the others that occur on
 * both sides come back as groups.
 *
 * A hash join over typed arrays, chains through `next`: 150,000 symbols cost no JavaScript object each.
 */
export function joinByKey(orig: Keyed, patched: Keyed, single: (orig: number, patched: number) => void): Group[] {
  const ours = orig.symbols.length;
  const slots = slotsFor(ours);
  const next = new Uint32Array(ours + patched.symbols.length + 1);
  // Positions + 1 in the symbol lists, PATCHED's behind ORIG's; a slot's chain starts with an ORIG position.
  const last = new Uint32Array(ours + 1);
  const heads = new Uint32Array(ours + 1);
  const patchedHead = new Uint32Array(ours + 1);
  const patchedLast = new Uint32Array(ours + 1);
  let groups = 0;
  for (let i = 0; i < ours; i++) {
    const slot = find(slots, orig.keys, orig.keys[i * 2]!, orig.keys[i * 2 + 1]!);
    const head = slots[slot]!;
    if (head === 0) {
      slots[slot] = i + 1;
      last[i + 1] = i + 1;
      heads[groups++] = i + 1;
    } else {
      next[last[head]!] = i + 1;
      last[head] = i + 1;
    }
  }
  for (let i = 0; i < patched.symbols.length; i++) {
    const head = slots[find(slots, orig.keys, patched.keys[i * 2]!, patched.keys[i * 2 + 1]!)]!;
    if (head === 0) continue;
    const position = ours + i + 1;
    if (patchedHead[head] === 0) patchedHead[head] = position;
    else next[patchedLast[head]!] = position;
    patchedLast[head] = position;
  }
  const several: Group[] = [];
  for (let i = 0; i < groups; i++) {
    const a = heads[i]!;
    const b = patchedHead[a]!;
    if (b === 0) continue;
    if (next[a] === 0 && next[b] === 0) single(orig.symbols[a - 1]!, patched.symbols[b - ours - 1]!);
    else {
      const group: Group = { orig: [], patched: [] };
      for (let at = a; at !== 0; at = next[at]!) group.orig.push(orig.symbols[at - 1]!);
      for (let at = b; at !== 0; at = next[at]!) group.patched.push(patched.symbols[at - ours - 1]!);
      several.push(group);
    }
  }
  return several;
}

function slotsFor(count: number): Uint32Array {
  let capacity = 64;
  while (capacity < count * 2) capacity *= 2;
  return new Uint32Array(capacity);
}

/** The slot of a key: its own, or the empty one where it belongs. `keys` are those of the positions that slots hold. */
function find(slots: Uint32Array, keys: Uint32Array, low: number, high: number): number {
  const mask = slots.length - 1;
  let slot = ((Math.imul(low, 0x9e3779b1) ^ (high >>> 5)) >>> 0) & mask;
  for (;;) {
    const head = slots[slot]!;
    if (head === 0 || (keys[head * 2 - 2] === low && keys[head * 2 - 1] === high)) return slot;
    slot = (slot + 1) & mask;
  }
}
