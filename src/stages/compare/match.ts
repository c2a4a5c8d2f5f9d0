import { SectionClass } from '../../kernel/section-class';
import { Kind } from '../scan';
import type { Pairing } from '../correlate';
import { unnumbered } from './behind';
import { differsInBuild } from './build-names';
import { differsInLine } from './line';
import { PromotedNames } from './promoted';
import { sameRecordBytes } from './record';
import { sameSymbol } from '../correlate/same-symbol';
import type { Range } from '../side/range';
import type { Side } from '../side/side';
import type { Reading } from '../side/reading';
import { resolveTarget, type Place, type Target } from '../places/target';

/** How two targets relate: the same thing, the same but for a source line or the build's name, or different (in content of a table or not). */
export type TargetMatch = 'same' | 'line' | 'release' | 'table' | 'different';

/** Both builds of a pair, and which symbol is which. */
export interface Builds {
  readonly pairing: Pairing;
  readonly a: Side;
  readonly b: Side;
}

export function matchTargets(
  builds: Builds,
  ta: Target,
  tb: Target,
  units: ReadonlySet<string>,
  depth = 0,
): TargetMatch {
  const { pairing, a, b } = builds;
  if (ta.type !== tb.type || !sameAlong(builds, ta, tb)) return 'different';
  // Of what may mean one thing or another, one that both may mean has not changed.
  if (ta.others.length + tb.others.length > 0 && mayMeanTheSame(pairing, ta, tb)) return 'same';
  const sameDigests = sameDigest(ta.digest, tb.digest);
  if (ta.symbol !== 0 && tb.symbol !== 0) {
    const kindA = a.table.kind[ta.symbol]!;
    const kindB = b.table.kind[tb.symbol]!;
    if (kindA === Kind.NAMED && kindB === Kind.NAMED)
      return ta.delta === tb.delta && sameSymbol(pairing, ta.symbol, tb.symbol) ? 'same' : 'different';
    const tables = kindA === Kind.CONTENT && kindB === Kind.CONTENT;
    const elsewhere = kindA === Kind.UNDEFINED && kindB === Kind.UNDEFINED;
    if (elsewhere && !sameDigests)
      return ta.delta === tb.delta && PromotedNames.of(pairing, a, b).same(ta.symbol, tb.symbol) ? 'same' : 'different';
    if (sameDigests) return !tables || sameInner(builds, a.rangeOf(ta.symbol), b.rangeOf(tb.symbol)) ? 'same' : 'table';
    if (ta.delta !== tb.delta) return 'different';
    // A digest does not open what a record's strings are cut from: a neighbour of another unit moved in `.rodata..L.str.8`.
    if (!tables)
      return depth < DEEPEST &&
        sameRecordBytes(a, b, ta.symbol, tb.symbol) &&
        sameTargets(builds, a.rangeOf(ta.symbol), b.rangeOf(tb.symbol), depth)
        ? 'same'
        : 'different';
    return sameFields(builds, a.rangeOf(ta.symbol), b.rangeOf(tb.symbol), depth) ? 'same' : 'table';
  }
  if (ta.text !== undefined && tb.text !== undefined) {
    if (sameDigests) return 'same';
    if (ta.delta !== tb.delta) return 'different';
    return differsInLine(ta.text, tb.text, units)
      ? 'line'
      : differsInBuild(a, b, ta.text, tb.text)
        ? 'release'
        : 'different';
  }
  if (ta.symbol !== 0 || tb.symbol !== 0 || ta.place === undefined || tb.place === undefined)
    return sameDigests ? 'same' : 'different';
  if (sameDigests && sameInnerOfPlaces(builds, ta.place, tb.place)) return 'same';
  if (ta.delta === tb.delta && sameExtent(builds, ta.place, tb.place, depth)) return 'same';
  return a.table.sectionClass[ta.place.section]! & SectionClass.READONLY ? 'table' : 'different';
}

/** Whether the address of one object reaches the same further ones in both builds. */
function sameAlong({ pairing, a, b }: Builds, { along: ours }: Target, { along: theirs }: Target): boolean {
  const digest = (side: Side, { symbol, delta }: Reading): Int32Array =>
    side.identity.ofTarget(symbol, 0, 0, side.arch.none, delta, 0);
  return (
    ours.length === theirs.length &&
    ours.every((x, i) => {
      const y = theirs[i]!;
      if (x.delta !== y.delta || x.symbol === 0 || y.symbol === 0) return false;
      return a.table.kind[x.symbol] === Kind.NAMED && b.table.kind[y.symbol] === Kind.NAMED
        ? sameSymbol(pairing, x.symbol, y.symbol)
        : sameDigest(digest(a, x), digest(b, y));
    })
  );
}

function mayMeanTheSame(pairing: Pairing, ta: Target, tb: Target): boolean {
  const theirs = [tb, ...tb.others];
  // That both hardly mean something is no reason to think that they do.
  return [ta, ...ta.others].some(
    (x) =>
      x.symbol !== 0 &&
      theirs.some(
        (y) =>
          (x === ta || y === tb) && y.symbol !== 0 && x.delta === y.delta && sameSymbol(pairing, x.symbol, y.symbol),
      ),
  );
}

/**
 * Whether what two ranges of equal digests refer to is the same: a digest knows names only, and a compound literal may come to
 * point to another `state.N`. Goes through content that refers to content; what is under way counts as the same.
 */
function sameInner(builds: Builds, rangeA: Range, rangeB: Range): boolean {
  const { pairing, a, b } = builds;
  const open: Array<[Range, Range]> = [[rangeA, rangeB]];
  const seen = new Set<string>();
  const follow = (x: Range, y: Range): void => {
    const key = `${x.section}:${x.start}:${y.section}:${y.start}`;
    if (!seen.has(key)) open.push([x, y]);
    seen.add(key);
  };
  for (const [x, y] of open) {
    const ours = targetsIn(a, x);
    const theirs = targetsIn(b, y);
    if (ours.length !== theirs.length) return false;
    for (const [i, { target }] of ours.entries()) {
      const other = theirs[i]!.target;
      if (target.symbol !== 0 && other.symbol !== 0) {
        const kind = a.table.kind[target.symbol];
        if (kind === Kind.NAMED && !sameSymbol(pairing, target.symbol, other.symbol)) return false;
        if (kind === Kind.CONTENT) follow(a.rangeOf(target.symbol), b.rangeOf(other.symbol));
      } else if (
        target.symbol === 0 &&
        other.symbol === 0 &&
        target.place !== undefined &&
        other.place !== undefined &&
        countsByContent(a, target.place) &&
        countsByContent(b, other.place)
      )
        follow(widest(a, target.place), widest(b, other.place));
    }
  }
  return true;
}

/** What a range refers to, with the offsets of the fields in it. For data: nothing follows a field that is no instruction's. */
export function targetsIn(side: Side, range: Range): Array<{ at: number; target: Target }> {
  return Array.from(side.relasIn(range), (rela) => ({
    at: rela.offset - range.start,
    target: resolveTarget(side, rela, range.section, 0),
  }));
}

const BY_CONTENT = SectionClass.READONLY | SectionClass.ANONYMOUS;
const NOT_BY_CONTENT =
  SectionClass.SPECIAL |
  SectionClass.DERIVED |
  SectionClass.RECORD |
  SectionClass.REPLACEMENT |
  SectionClass.NOBITS |
  SectionClass.STRING;

/** Whether the content of a place without a symbol is what counts about it. */
function countsByContent(side: Side, { section }: Place): boolean {
  const bits = side.table.sectionClass[section]!;
  return (bits & BY_CONTENT) !== 0 && (bits & NOT_BY_CONTENT) === 0;
}

function widest(side: Side, { section, offset }: Place): Range {
  return side.extents.widestAt(section, offset);
}

function sameInnerOfPlaces(builds: Builds, pa: Place, pb: Place): boolean {
  const { a, b } = builds;
  const counts = countsByContent(a, pa) && countsByContent(b, pb);
  return !counts || sameInner(builds, widest(a, pa), widest(b, pb));
}

function sameExtent(builds: Builds, pa: Place, pb: Place, depth: number): boolean {
  const { a, b } = builds;
  const extents = extentsOf(a, b, pa, pb);
  if (extents === undefined) return false;
  const [x, y] = extents;
  const digest = a.identity.ofRange(x.section, x.start, x.end);
  if (!sameDigest(digest, b.identity.ofRange(y.section, y.start, y.end)))
    return countsByContent(a, pa) && countsByContent(b, pb) && sameFields(builds, x, y, depth);
  return !countsByContent(a, pa) || sameInner(builds, x, y);
}

/** How far content that refers to content is followed: a table of tables of functions takes three. */
const DEEPEST = 8;
const NO_UNITS: ReadonlySet<string> = new Set();

/**
 * Whether two ranges of different digests hold the same, field by field: a digest knows the names that other partitions define by their hashes, and of
 * the words of a relative table how far they are from the table, which moves; and what lies beside what is referred to.
 */
function sameFields(builds: Builds, x: Range, y: Range, depth: number): boolean {
  const { a, b } = builds;
  if (depth >= DEEPEST) return false;
  const bytes = ({ object }: Side, { section, start, end }: Range): Uint8Array =>
    object.content(section).subarray(start, end);
  if (x.end - x.start !== y.end - y.start || Buffer.compare(bytes(a, x), bytes(b, y)) !== 0) return false;
  return sameTargets(builds, x, y, depth);
}

/** Whether two ranges refer to something, and at the same offsets to the same. */
function sameTargets(builds: Builds, x: Range, y: Range, depth: number): boolean {
  const { a, b } = builds;
  const ours = targetsIn(a, x);
  const theirs = targetsIn(b, y);
  return (
    ours.length > 0 &&
    ours.length === theirs.length &&
    ours.every(
      ({ at, target }, i) =>
        at === theirs[i]!.at && matchTargets(builds, target, theirs[i]!.target, NO_UNITS, depth + 1) === 'same',
    )
  );
}

/** The bytes that two anonymous places have to agree in; undefined where they cannot be the same. */
function extentsOf(a: Side, b: Side, pa: Place, pb: Place): [Range, Range] | undefined {
  if (pa.offset < 0 || pb.offset < 0) return undefined;
  const both = a.table.sectionClass[pa.section]! & b.table.sectionClass[pb.section]!;
  // Writable data without a symbol is told by its section and its content; `.bss` has none to tell.
  if (
    (both & SectionClass.READONLY) === 0 &&
    ((both & SectionClass.NOBITS) !== 0 || unnumbered(a, pa.section) !== unnumbered(b, pb.section))
  )
    return undefined;
  const sizeA = a.object.size(pa.section);
  const sizeB = b.object.size(pb.section);
  const objects = a.extents.isOneObject(pa.section) && b.extents.isOneObject(pb.section);
  if (objects && sizeA === sizeB)
    return pa.offset === pb.offset
      ? [a.extents.at(pa.section, pa.offset), b.extents.at(pb.section, pb.offset)]
      : undefined;
  // `ld -r` joins equally named sections of two units: in 7.2 a 5-byte object follows the "i686" that override_release copies,
  // so where sizes differ the shorter one is the object. Elsewhere, where the builds disagree, the longer extent is compared.
  const length = objects ? Math.min(sizeA - pa.offset, sizeB - pb.offset) : lengthOf(a, b, pa, pb);
  if (length === 0) return wholeExtents(a, b, pa, pb);
  if (length < 0 || pa.offset + length > sizeA || pb.offset + length > sizeB) return undefined;
  const range = ({ section, offset }: Place): Range => ({ section, start: offset, end: offset + length });
  return [range(pa), range(pb)];
}

function sameDigest(a: Int32Array, b: Int32Array): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
}

/** How far behind two places the builds have to agree: to the end of the longer extent, unless that goes on with something that is referred to. */
function lengthOf(a: Side, b: Side, pa: Place, pb: Place): number {
  const [ours, theirs] = [
    a.extents.at(pa.section, pa.offset).end - pa.offset,
    b.extents.at(pb.section, pb.offset).end - pb.offset,
  ];
  const [longer, place] = ours > theirs ? [a, pa] : [b, pb];
  const shorter = Math.min(ours, theirs);
  return ours !== theirs && longer.extents.isPlace(place.section, place.offset + shorter)
    ? shorter
    : Math.max(ours, theirs);
}

/** What lies before two ends, where loops come from. */
function wholeExtents(a: Side, b: Side, pa: Place, pb: Place): [Range, Range] | undefined {
  const [x, y] = [a.extents.at(pa.section, pa.offset), b.extents.at(pb.section, pb.offset)];
  return x.end - x.start === y.end - y.start ? [x, y] : undefined;
}
