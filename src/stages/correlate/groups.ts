import type { ScanTable } from '../scan';

/** Key of a symbol within its object: equal keys on both sides make a group. Four 32-bit words. */
export type KeyOf = (table: ScanTable, symbol: number, side: 0 | 1, into: Uint32Array) => void;

/** Members of one key on both sides, in symbol-table order. */
export interface Group {
  orig: number[];
  patched: number[];
}

/**
 * Joins two sets of symbols by a key and hands out every key that occurs on both sides.
 *
 * A hash join over typed arrays: chains run through `next`, so 150,000 symbols cost no JavaScript object each. Groups of
 * one and one, nearly all of them, go to `single`; only the others become objects.
 */
export function joinByKey(
  orig: ScanTable, origSymbols: Uint32Array, patched: ScanTable, patchedSymbols: Uint32Array, keyOf: KeyOf,
  single: (orig: number, patched: number) => void, several: (group: Group) => void,
): void {
  const total = origSymbols.length + patchedSymbols.length;
  let capacity = 64;
  while (capacity < origSymbols.length * 2) capacity *= 2;
  const slots = new Uint32Array(capacity);
  // Group numbers start at 1; heads and tails of both chains are positions + 1 in the symbol lists.
  const keys = new Uint32Array((origSymbols.length + 1) * 4);
  const head = new Uint32Array((origSymbols.length + 1) * 2);
  const tail = new Uint32Array((origSymbols.length + 1) * 2);
  const next = new Uint32Array(total + 1);
  const key = new Uint32Array(4);
  let groups = 0;

  const find = (insert: boolean): number => {
    let slot = (Math.imul(key[0]! ^ Math.imul(key[2]!, 0x85ebca6b) ^ key[3]!, 0x9e3779b1) ^ key[1]!) >>> 0 & (capacity - 1);
    for (;;) {
      const group = slots[slot]!;
      if (group === 0) {
        if (!insert) return 0;
        slots[slot] = ++groups;
        keys.set(key, groups * 4);
        return groups;
      }
      const at = group * 4;
      if (keys[at] === key[0] && keys[at + 1] === key[1] && keys[at + 2] === key[2] && keys[at + 3] === key[3]) return group;
      slot = (slot + 1) & (capacity - 1);
    }
  };
  const append = (group: number, side: 0 | 1, position: number): void => {
    const at = group * 2 + side;
    if (head[at] === 0) head[at] = position;
    else next[tail[at]!] = position;
    tail[at] = position;
  };
  for (let i = 0; i < origSymbols.length; i++) {
    keyOf(orig, origSymbols[i]!, 0, key);
    append(find(true), 0, i + 1);
  }
  for (let i = 0; i < patchedSymbols.length; i++) {
    keyOf(patched, patchedSymbols[i]!, 1, key);
    const group = find(false);
    if (group !== 0) append(group, 1, origSymbols.length + i + 1);
  }
  for (let group = 1; group <= groups; group++) {
    const a = head[group * 2]!;
    const b = head[group * 2 + 1]!;
    if (b === 0) continue;
    if (next[a] === 0 && next[b] === 0) {
      single(origSymbols[a - 1]!, patchedSymbols[b - origSymbols.length - 1]!);
      continue;
    }
    const members: Group = { orig: [], patched: [] };
    for (let i = a; i !== 0; i = next[i]!) members.orig.push(origSymbols[i - 1]!);
    for (let i = b; i !== 0; i = next[i]!) members.patched.push(patchedSymbols[i - origSymbols.length - 1]!);
    several(members);
  }
}
