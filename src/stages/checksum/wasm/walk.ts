/** A function's instructions: from its start for as long as they belong to it, then those of its cold part. */
import { functionAt, instructionAt, ownedUntil } from './code';
import { coldOf, homeOf, lengthOf, valueOf } from './memory';

/** Where the walk is; length 0 at its end. */
export let section: u32 = 0;
export let offset: i64 = 0;
export let length: u32 = 0;

let owner: u32 = 0;
/** Up to where instructions are known to be the owner's. */
let until: i64 = 0;
export let inColdPart: bool = false;

export function start(func: u32): void {
  inColdPart = false;
  goTo(func);
}

function goTo(func: u32): void {
  section = homeOf(func);
  offset = valueOf(func);
  length = instructionAt(section, offset);
  if (length == 0) return;
  owner = functionAt(section, offset);
  until = ownedUntil;
}

/** Goes on to the next instruction; false at the end. */
export function next(): bool {
  if (owner == 0) return end();
  const following = offset + length;
  if (following < <i64>lengthOf(section) && isOwn(following)) {
    offset = following;
    length = instructionAt(section, offset);
    return true;
  }
  const cold = coldOf(owner);
  if (cold == 0 || inColdPart) return end();
  inColdPart = true;
  goTo(cold);
  return length != 0;
}

function end(): bool {
  length = 0;
  return false;
}

function isOwn(place: i64): bool {
  if (place < until) return true;
  if (functionAt(section, place) != owner) return false;
  until = ownedUntil;
  return true;
}
