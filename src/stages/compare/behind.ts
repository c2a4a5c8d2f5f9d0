import { ZEROS } from '../../arch';
import { RELA_WORDS, R_OFFSET, u64, type SectionIndex } from '../../elf';
import { SectionClass } from '../../kernel/section-class';
import type { Pairing } from '../correlate';
import type { Range } from '../side/range';
import { sameSymbol } from '../correlate/same-symbol';
import type { Side } from '../side/side';
import type { Place } from '../places/target';

/**
 * Whether two places that no symbol covers are the same: in sections of one name, with equal bytes and references up to the next
 * symbol. Assembly has code behind a function's `.size`, and data in `.text`; two tails are not the same because neither has a name.
 */
export function sameBehind(pairing: Pairing, a: Side, b: Side, pa: Place, pb: Place): boolean {
  if (unnumbered(a, pa.section) !== unnumbered(b, pb.section) || !isInside(a, pa) || !isInside(b, pb)) return false;
  const [x, y] = [restOf(a, pa), restOf(b, pb)];
  if (x.end - x.start !== y.end - y.start) return false;
  if (x.end > x.start) {
    const [ours, theirs] = [
      a.identity.ofRange(x.section, x.start, x.end),
      b.identity.ofRange(y.section, y.start, y.end),
    ];
    return ours.every((word, i) => word === theirs[i]);
  }
  // Nothing but filling: what counts is who stands behind it.
  const [next, other] = [coverBehind(a, pa), coverBehind(b, pb)];
  return next === 0 || other === 0 ? next === other : sameSymbol(pairing, next, other);
}

/** A section's name without the number that a compiler gave it. */
export function unnumbered({ object }: Side, section: SectionIndex): string {
  return object.name(section).replace(/[0-9._]+$/, '');
}

function isInside({ object, table }: Side, { section, offset }: Place): boolean {
  return section < table.sections && offset >= 0 && offset < object.size(section);
}

/** From a place to the next symbol, without the filling before that. */
function restOf(side: Side, { section, offset }: Place): Range {
  const { end } = side.extents.widestAt(section, offset);
  return { section, start: offset, end: withoutFilling(side, { section, start: offset, end }).end };
}

function coverBehind(side: Side, { section, offset }: Place): number {
  return side.identity.coverAt(section, side.extents.widestAt(section, offset).end);
}

/** A range that no symbol covers without what fills it up at both ends. Fields of relocations are no filling, though zeros stand in them. */
export function withoutFilling(side: Side, { section, start, end }: Range): Range & { hasRelas: boolean } {
  const { object, table, arch, identity } = side;
  if ((table.sectionClass[section]! & SectionClass.NOBITS) !== 0)
    return { section, start, end: start, hasRelas: false };
  const isCode = (table.sectionClass[section]! & SectionClass.EXEC) !== 0;
  const filling = isCode ? arch.filling : ZEROS;
  // The first byte of arm64's `add w0, w0, #17` is 0: an instruction goes or stays whole, or a branch to it is none into the rest.
  const whole = isCode ? arch.instructionAlign : 1;
  const { bytes } = object;
  const base = object.offset(section);
  let [first, last] = [end, start];
  if (table.relaSection[section] !== 0) {
    const { words, at, stop } = identity.relas.select(section, start, end);
    for (let i = at; i < stop && first === end; i += RELA_WORDS) {
      const offset = u64(words, i + R_OFFSET);
      if (offset >= start && offset < end) first = offset;
    }
    for (let i = stop - RELA_WORDS; i >= at && last === start; i -= RELA_WORDS) {
      const offset = u64(words, i + R_OFFSET);
      if (offset >= start && offset < end) last = Math.min(end, offset + FIELD);
    }
  }
  const found = filling.endFrom(bytes, base + start, base + first) - base;
  const from = found === end ? end : Math.max(start, found - (found % whole));
  const to = from === end ? end : filling.startFrom(bytes, base + Math.max(from, last), base + end) - base;
  return { section, hasRelas: last > start, start: from, end: Math.min(end, Math.ceil(to / whole) * whole) };
}

/** Bytes of a relocated field, at least. */
const FIELD = 4;
