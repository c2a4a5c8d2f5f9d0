/** Cold parts are functions that belong to their parents: the local of the name before `.cold` under the same FILE symbol, else the global. */
import { STT_FILE, STT_FUNC, STT_NOTYPE } from '../generated/constants';
import { grow } from './host';
import {
  canonicalOf,
  checksums,
  homeOf,
  nameOf,
  ownType,
  setCold,
  setParent,
  setSize,
  sizeOf,
  symbolCell,
  symbols,
  valueOf,
} from './memory';
import { coldParentLength, endOf, sameBytes } from './names';
import { isLocal } from './symbols';

let found: u32 = 0;

/** Length of a cold part's parent's name; it stands where the checksum will. */
function noted(symbol: u32): usize {
  return symbolCell(checksums, symbol, 3);
}

export function noteCold(symbol: u32, end: usize): void {
  const length = coldParentLength(symbol, end);
  if (length == 0) return;
  store<u32>(noted(symbol), length);
  found++;
}

/** Functions and labels by name and, for locals, FILE symbol: two words a slot, the symbol and its FILE symbol + 1 (0 for globals). */
let slots: usize = 0;
let mask: u32 = 0;

export function joinColdParts(): void {
  if (found == 0) return;
  let capacity: u32 = 4;
  while (capacity < symbols * 2) capacity *= 2;
  slots = grow(capacity << 3);
  mask = capacity - 1;
  let unit: u32 = 0;
  for (let symbol: u32 = 1; symbol < symbols; symbol++) {
    const type = ownType(symbol);
    if (type == STT_FILE) unit = symbol;
    if ((type != STT_FUNC && type != STT_NOTYPE) || homeOf(symbol) == 0) continue;
    const owner = isLocal(symbol) ? unit + 1 : 0;
    const slot = slotOf(nameOf(symbol), <u32>(endOf(symbol) - nameOf(symbol)), owner);
    store<u32>(slot, symbol);
    store<u32>(slot, owner, 4);
  }
  unit = 0;
  for (let symbol: u32 = 1; symbol < symbols; symbol++) {
    if (ownType(symbol) == STT_FILE) unit = symbol;
    const length = load<u32>(noted(symbol));
    if (length == 0) continue;
    store<u32>(noted(symbol), 0);
    let parent: u32 = 0;
    if (isLocal(symbol)) parent = load<u32>(slotOf(nameOf(symbol), length, unit + 1));
    if (parent == 0) parent = load<u32>(slotOf(nameOf(symbol), length, 0));
    // Else it is hashed as a function of its own.
    if (parent != 0) join(symbol, parent);
  }
}

function join(symbol: u32, parent: u32): void {
  const canonical = canonicalOf(parent);
  setParent(symbol, canonical);
  setCold(parent, symbol);
  setCold(canonical, symbol);
  const start = valueOf(symbol);
  const end = valueOf(parent) + sizeOf(parent);
  if (homeOf(symbol) == homeOf(parent) && start >= valueOf(parent) && start + sizeOf(symbol) == end)
    setSize(parent, sizeOf(parent) - sizeOf(symbol));
}

/** The slot of a name, taken or free. */
function slotOf(name: usize, length: u32, owner: u32): usize {
  let i = hash(name, length, owner) & mask;
  while (!isFor(slots + ((<usize>i) << 3), name, length, owner)) i = (i + 1) & mask;
  return slots + ((<usize>i) << 3);
}

/** Whether a slot is a name's, or nobody's. */
function isFor(slot: usize, name: usize, length: u32, owner: u32): bool {
  const symbol = load<u32>(slot);
  if (symbol == 0) return true;
  if (load<u32>(slot, 4) != owner || load<u8>(nameOf(symbol) + length) != 0) return false;
  return <u32>(endOf(symbol) - nameOf(symbol)) == length && sameBytes(nameOf(symbol), name, length);
}

function hash(name: usize, length: u32, owner: u32): u32 {
  let state: u64 = <u64>owner * 0x9e3779b97f4a7c15;
  for (let i: u32 = 0; i < length; i += 8) {
    let word = load<u64>(name + i);
    if (length - i < 8) word &= (1 << ((<u64>(length - i)) << 3)) - 1;
    state = (state ^ word) * 0xc6a4a7935bd1e995;
    state ^= state >> 32;
  }
  return <u32>(state >> 8);
}
