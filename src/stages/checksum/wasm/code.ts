/** Instructions: where they begin, and which symbol they belong to. */
import { STT_FUNC, STT_NOTYPE } from '../generated/constants';
import { behind } from './cover';
import { lengthAt } from './lengths';
import {
  bitsOf,
  canonicalOf,
  codes,
  contentOf,
  decoded,
  firstPlaced,
  lastPlaced,
  lengthOf,
  placedAt,
  reachAt,
  sectionCell,
  sizeOf,
  valueOf,
} from './memory';
import { isEmbedded } from './names';
import { CODE, holds } from './sections';
import { typeOf } from './symbols';

/** Length of the instruction that starts at a place of any section, from which on a section is decoded; 0 where none does. */
export function instructionAt(section: u32, offset: i64): u32 {
  if ((bitsOf(section) & CODE) == 0 || !holds(section, offset)) return 0;
  decode(section);
  return load<u8>(<usize>load<u32>(sectionCell(codes, section, 2)) + <usize>offset);
}

/** Fills in the lengths of a section's instructions. Two threads that do it at the same time write the same. */
function decode(section: u32): void {
  const done = sectionCell(decoded, section, 0);
  if (atomic.load<u8>(done) != 0) return;
  const lengths = <usize>load<u32>(sectionCell(codes, section, 2));
  const content = contentOf(section);
  const end = lengthOf(section);
  for (let at: u32 = 0; at < end; ) {
    const length = lengthAt(content + at, end - at);
    store<u8>(lengths + at, <u8>length);
    at += length;
  }
  atomic.store<u8>(done, 1);
}

/** Up to where the last answer of `ownerAt` holds for what follows. */
export let ownedUntil: i64 = 0;

/**
 * The symbol that the instruction at a place belongs to; 0 for none (padding). Functions and labels claim the instructions that start
 * within them, later ones over earlier ones.
 */
export function ownerAt(section: u32, offset: i64): u32 {
  const first = firstPlaced(section);
  const next = behind(section, offset);
  ownedUntil = next < lastPlaced(section) ? valueOf(placedAt(next)) : lengthOf(section);
  for (let i = next; i > first && reachAt(i - 1) > offset; i--) {
    const symbol = placedAt(i - 1);
    const end = valueOf(symbol) + sizeOf(symbol);
    if (end <= offset) continue;
    const type = typeOf(symbol);
    if ((type != STT_FUNC && type != STT_NOTYPE) || canonicalOf(symbol) != symbol) continue;
    if (instructionAt(section, valueOf(symbol)) == 0 || isEmbedded(symbol)) continue;
    ownedUntil = min(ownedUntil, end);
    return symbol;
  }
  return 0;
}

/** The function that the instruction at a place belongs to; 0 where it belongs to none, or to a symbol that is no function. */
export function functionAt(section: u32, offset: i64): u32 {
  const owner = ownerAt(section, offset);
  return owner != 0 && typeOf(owner) == STT_FUNC ? owner : 0;
}
