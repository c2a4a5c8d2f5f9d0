/** The columns that follow from the others and are not recorded. */
import {
  around,
  aroundCover,
  canonicalOf,
  classOf,
  counts,
  cover,
  firstCover,
  info,
  kindOf,
  lastCover,
  listed,
  refersTo,
  roles,
  sectionCell,
  sectionSpecial,
  sizeOf,
  sole,
  startOf,
  symbolCell,
  traitsOf,
} from './columns';
import { sectionSize } from './file';
import { markBeside, markGap } from './uncovered';
import {
  CLASS_EXEC,
  CLASS_ODD,
  CLASS_RECORD,
  REFERS_ALIAS,
  REFERS_AMBIGUOUS,
  STT_FILE,
  TRAIT_AMBIGUOUS,
  TRAIT_COLD,
  TRAIT_CORRELATABLE,
  TRAIT_TYPED,
} from '../generated/constants';

/** Fills `refersTo` and `listed`, and what symbols say about `gapped`. Kinds, aliases, ambiguity and the sections' columns must be known. */
export function deriveSymbols(from: u32, to: u32): void {
  let count = load<u32>(counts);
  let cold = load<u32>(counts, 8);
  let typed = load<u32>(counts, 12);
  for (let symbol = from; symbol < to; symbol++) {
    const target = canonicalOf(symbol);
    const ambiguous = (traitsOf(target) & TRAIT_AMBIGUOUS) != 0 ? REFERS_AMBIGUOUS : 0;
    store<u8>(
      symbolCell(refersTo, symbol, 0),
      <u8>(kindOf(symbol) | ambiguous | (target != symbol ? REFERS_ALIAS : 0)),
    );
    const bits = traitsOf(symbol);
    if ((bits & TRAIT_CORRELATABLE) != 0 || (load<u8>(symbolCell(info, symbol, 0)) & 0xf) == STT_FILE) {
      store<u32>(symbolCell(listed, count, 2), symbol);
      count++;
    }
    if ((bits & TRAIT_COLD) != 0) cold++;
    markBeside(symbol);
    if ((bits & TRAIT_TYPED) != 0) typed++;
  }
  store<u32>(counts, count);
  store<u32>(counts, cold, 8);
  store<u32>(counts, typed, 12);
}

/** Fills `roles`, `around`, `sole` and `gapped`. */
export function deriveSections(first: u32, last: u32): void {
  let found = load<u32>(counts, 4);
  for (let section = first; section < last; section++) {
    const from = firstCover(section);
    const to = lastCover(section);
    let end: i64 = 0;
    for (let i = from; i < to; i++) {
      const stop = endOf(i);
      let before = i;
      while (before > from && endOf(before - 1) <= stop) before = aroundCover(before - 1);
      store<u32>(symbolCell(around, i, 2), before > from ? before : 0);
      end = max(end, stop);
    }
    if (from != to) store<u32>(sectionCell(sole, section, 2), soleObject(section, from, to, end));
    markGap(section, from, to);
    if (
      load<u8>(sectionCell(sectionSpecial, section, 0)) != 0 ||
      (classOf(section) & (CLASS_RECORD | CLASS_ODD)) != 0
    ) {
      store<u32>(sectionCell(roles, found, 2), section);
      found++;
    }
  }
  store<u32>(counts, found, 4);
}

function endOf(index: u32): i64 {
  const symbol = cover(index);
  return startOf(symbol) + sizeOf(symbol);
}

/**
 * The object that a section consists of, 0 if there is no such. It is meant wherever a reference points: `set_proc_pid_nlink` compares
 * against .rodata.tgid_base_stuff + 0x8cc, 12 bytes past its end (Linux 6.12, GCC 12).
 */
function soleObject(section: u32, from: u32, to: u32, end: i64): u32 {
  const only = canonicalOf(cover(from));
  if (only != canonicalOf(cover(to - 1)) || end != sectionSize(section)) return 0;
  return startOf(only) == 0 || (classOf(section) & CLASS_EXEC) != 0 ? only : 0;
}
