/** The chunks of one symbol's identity, one behind the other: what is hashed does not depend on where one ends. */
import { grow, told } from './host';
import { nameLengthOf, nameOf } from './memory';
import { xxh3 } from './xxh3';

let buffer: usize = 0;
let capacity: u32 = 0;
let length: u32 = 0;

/** Whether each part is told, and as what: its number (../tell.ts) and place. */
export let telling: bool = false;
let part: u32 = 0;
let partSection: u32 = 0;
let partOffset: i64 = 0;

export function reportParts(on: bool): void {
  telling = on;
}

export function enter(number: u32, section: u32, offset: i64): void {
  part = number;
  partSection = section;
  partOffset = offset;
}

export function reset(): void {
  length = 0;
}

export function bytes(from: usize, count: u32): void {
  reserve(count);
  memory.copy(buffer + length, from, count);
  length += count;
  if (telling) tell();
}

export function u32Of(value: u32): void {
  reserve(4);
  store<u32>(buffer + length, value);
  length += 4;
  if (telling) tell();
}

/** A 64-bit number, negative ones in two's complement. */
export function longOf(value: i64): void {
  reserve(8);
  store<i64>(buffer + length, value);
  length += 8;
  if (telling) tell();
}

/** As `longOf`, of the place of a part that follows. */
export function placeOf(value: i64): void {
  reserve(8);
  store<i64>(buffer + length, value);
  length += 8;
}

/** The name by which others refer to a symbol. */
export function name(symbol: u32): void {
  bytes(nameOf(symbol), nameLengthOf(symbol));
}

export function digest(): u64 {
  return xxh3(buffer, length);
}

function tell(): void {
  const hash = digest();
  told(part, partSection, <f64>partOffset, <u32>hash, <u32>(hash >> 32));
}

// @ts-ignore: decorator
@inline
function reserve(more: u32): void {
  if (more > capacity - length) enlarge(more);
}

function enlarge(more: u32): void {
  const larger = max(<u64>length + more, max(<u64>capacity * 2, 1 << 16));
  const at = grow(<u32>larger);
  memory.copy(at, buffer, length);
  buffer = at;
  capacity = <u32>larger;
}
