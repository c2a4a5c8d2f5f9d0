import type { Offset } from '../../elf';
import { append, put, smallest } from '../../lists';
import { SectionClass } from '../../kernel/section-class';
import type { Pairing } from '../correlate';
import { unnumbered, withoutFilling } from './behind';
import { decodeRange } from '../side/decoded';
import { compareCode } from './functions';
import { matchTargets, targetsIn } from './match';
import { cutOwned } from './owned-pieces';
import type { Range } from '../side/range';
import type { Side } from '../side/side';
import type { Target } from '../places/target';
import { isCounted, stretchesOf, uncounted, type Stretch } from './stretches';
import { findGaps } from '../scan/gaps';
import { differingGaps } from './gaps';

/** Bytes that no symbol covers and that differ; of a stretch that only one build has the other is null. May cross threads. */
export interface UncoveredDifference {
  orig: Range | null;
  patched: Range | null;
  section: string;
  /** The label that stands before the first difference; '' where none does. */
  label: string;
  /** Of the first difference, from the start of ORIG's section (PATCHED's, where ORIG has nothing). */
  offset: Offset;
  /** Functions that the bytes go with, by side; none where they go with nobody. */
  owners: { orig: readonly number[]; patched: readonly number[] };
  /** PATCHED has all that ORIG has, and more: a table gained entries. */
  grown: boolean;
}

/** Both builds' gaps, as `findGaps` finds them. */
export interface Gaps {
  orig: Uint32Array;
  patched: Uint32Array;
}

/** Both builds' stretches, or what is left of them. */
interface Stretches {
  orig: Stretch[];
  patched: Stretch[];
}

/**
 * Compares what no symbol covers, so that every loaded byte is compared under some owner. Anonymous read-only data counts by its users,
 * who are compared with it: of that, what stands before the first place that anything refers to is compared here.
 */
export function compareUncovered(
  pairing: Pairing,
  a: Side,
  b: Side,
  gaps: Gaps = { orig: findGaps(a.identity), patched: findGaps(b.identity) },
): UncoveredDifference[] {
  const differing = differingGaps(gaps.orig, gaps.patched);
  const stretches = { orig: stretchesOf(a, differing.orig), patched: stretchesOf(b, differing.patched) };
  let left = withoutEqual(a, b, stretches, ({ key }) => key);
  // Cutting takes passes over all relas; an LTO kernel's initcalls differ with every line that moves, and only in their names.
  left = withoutAlike(pairing, a, b, left);
  const partsOf = (side: Side, all: readonly Stretch[]): Stretch[] =>
    cutOwned(side, all).flatMap((stretch) => withoutUsed(side, stretch));
  left = withoutEqual(a, b, { orig: partsOf(a, left.orig), patched: partsOf(b, left.patched) }, ({ key }) => key);
  const found: UncoveredDifference[] = [];
  const settle = (x: Stretch, y: Stretch): void => {
    const difference = firstDifference(pairing, a, b, x, y);
    if (difference !== undefined) found.push(difference);
  };
  // First by what tells where they belong.
  left = pairUp(left, ({ key }) => key, settle);
  // Those of sections of one name, but for pieces of functions.
  const names = new Map([
    ...left.orig.map((one) => [one, unnumbered(a, one.section)] as const),
    ...left.patched.map((one) => [one, unnumbered(b, one.section)] as const),
  ]);
  const place = (stretch: Stretch): string => (stretch.owners.length > 0 ? stretch.key : names.get(stretch)!);
  left = pairUp(withoutEqual(a, b, left, place), place, settle);
  const sole = (side: Side, stretch: Stretch): Omit<UncoveredDifference, 'orig' | 'patched' | 'owners' | 'grown'> => ({
    section: side.object.name(stretch.section),
    label: stretch.labels[0]?.name ?? '',
    offset: stretch.start,
  });
  append(
    found,
    left.orig.map((stretch) => ({
      ...sole(a, stretch),
      orig: rangeOf(stretch),
      patched: null,
      owners: { orig: stretch.owners, patched: [] },
      grown: false,
    })),
  );
  append(
    found,
    left.patched.map((stretch) => ({
      ...sole(b, stretch),
      orig: null,
      patched: rangeOf(stretch),
      owners: { orig: [], patched: stretch.owners },
      grown: true,
    })),
  );
  return found;
}

/** Leaves out pairs of one key that have equal labels, bytes and references. */
function withoutEqual(a: Side, b: Side, { orig, patched }: Stretches, keyOf: (stretch: Stretch) => string): Stretches {
  const identityOf = (side: Side, stretch: Stretch): string =>
    `${keyOf(stretch)} ${stretch.labels.map(({ name, at }) => `${uncounted(name)}@${at}`).join()} ${contentOf(side, stretch)}`;
  const open = new Map<string, Stretch[]>();
  for (const stretch of orig) put(open, identityOf(a, stretch), stretch);
  const equal = new Set<Stretch>();
  const left = patched.filter((stretch) => {
    const twin = open.get(identityOf(b, stretch))?.shift();
    if (twin !== undefined) equal.add(twin);
    return twin === undefined;
  });
  return { orig: orig.filter((stretch) => !equal.has(stretch)), patched: left };
}

/** Leaves out pairs of one key, in order, that mean the same. */
function withoutAlike(pairing: Pairing, a: Side, b: Side, { orig, patched }: Stretches): Stretches {
  const alike = new Set<Stretch>();
  pairUp(
    { orig, patched },
    ({ key }) => key,
    (x, y) => {
      if (firstDifference(pairing, a, b, x, y) === undefined) alike.add(x).add(y);
    },
  );
  const rest = (all: readonly Stretch[]): Stretch[] => all.filter((one) => !alike.has(one));
  return { orig: rest(orig), patched: rest(patched) };
}

/** Most bytes that stand for themselves: arm64 has 10,719 short alternatives behind functions. */
const SHORT = 64;

/** Equal for equal bytes and references. */
function contentOf(
  { identity, object, table: { coverStart } }: Side,
  { section, start, end, hasRelas }: Stretch,
): string {
  const plain = !hasRelas && end - start <= SHORT && coverStart[section + 1]! - coverStart[section]! <= 1;
  return plain
    ? Buffer.from(object.content(section).subarray(start, end)).toString('latin1')
    : identity.ofRange(section, start, end).join();
}

/** Pairs those of one key in order; returns the others. */
function pairUp(
  { orig, patched }: Stretches,
  keyOf: (stretch: Stretch) => string,
  settle: (x: Stretch, y: Stretch) => void,
): Stretches {
  const others = new Map<string, Stretch[]>();
  for (const stretch of patched) put(others, keyOf(stretch), stretch);
  const rest = orig.filter((stretch) => {
    const twin = others.get(keyOf(stretch))?.shift();
    if (twin !== undefined) settle(stretch, twin);
    return twin === undefined;
  });
  const open = new Set([...others.values()].flat());
  return { orig: rest, patched: patched.filter((stretch) => open.has(stretch)) };
}

/** Of read-only data what nothing refers to: its users are compared with the rest. */
function withoutUsed(side: Side, stretch: Stretch): Stretch[] {
  if ((side.table.sectionClass[stretch.section]! & SectionClass.READONLY) === 0) return [stretch];
  if (side.extents.isObject(stretch.section)) return [];
  const range = withoutFilling(side, {
    section: stretch.section,
    start: stretch.start,
    end: side.extents.firstPlaceIn(stretch),
  });
  if (range.start === range.end) return [];
  const moved = range.start - stretch.start;
  return [
    {
      ...stretch,
      ...range,
      labels: stretch.labels
        .map((label) => ({ ...label, at: label.at - moved }))
        .filter(({ at }) => at < range.end - range.start),
    },
  ];
}

function firstDifference(pairing: Pairing, a: Side, b: Side, x: Stretch, y: Stretch): UncoveredDifference | undefined {
  const at =
    (a.table.sectionClass[x.section]! & SectionClass.EXEC) !== 0
      ? differenceOfCode(pairing, a, b, x, y)
      : differenceOfData(pairing, a, b, x, y);
  if (at === undefined) return undefined;
  const label = x.labels.filter((one) => one.at <= at).at(-1) ?? x.labels[0];
  return {
    orig: rangeOf(x),
    patched: rangeOf(y),
    section: a.object.name(x.section),
    label: label?.name ?? '',
    offset: x.start + at,
    owners: { orig: x.owners, patched: y.owners },
    grown: isGrown(a, b, x, y),
  };
}

/** Where labels stand otherwise; undefined where they do not. */
function differenceOfLabels(x: Stretch, y: Stretch): number | undefined {
  const i = x.labels.findIndex(
    ({ name, at }, k) =>
      y.labels[k] === undefined || uncounted(y.labels[k].name) !== uncounted(name) || y.labels[k].at !== at,
  );
  if (i >= 0) return Math.max(0, x.labels[i]!.at);
  return y.labels.length > x.labels.length ? Math.max(0, y.labels[x.labels.length]!.at) : undefined;
}

function differenceOfCode(pairing: Pairing, a: Side, b: Side, x: Stretch, y: Stretch): number | undefined {
  const { status, first } = compareCode(
    pairing,
    decodeRange(a, x, a.disassembler),
    decodeRange(b, y, b.disassembler),
    a.allUnits(),
    a.disassembler,
  );
  return status === 'changed' ? first!.offset : differenceOfLabels(x, y);
}

function differenceOfData(pairing: Pairing, a: Side, b: Side, x: Stretch, y: Stretch): number | undefined {
  const [ours, theirs] = [bytesOf(a, x), bytesOf(b, y)];
  const length = Math.min(ours.length, theirs.length);
  let at = 0;
  while (at < length && ours[at] === theirs[at]) at++;
  const [targets, others] = [targetsIn(a, x), targetsIn(b, y)];
  const i = targets.findIndex(
    (one, k) => others[k]?.at !== one.at || !sameTarget(pairing, a, b, one.target, others[k].target),
  );
  const places = [
    at < Math.max(ours.length, theirs.length) ? at : Infinity,
    i >= 0 ? targets[i]!.at : (others[targets.length]?.at ?? Infinity),
    differenceOfLabels(x, y) ?? Infinity,
  ];
  const first = smallest(places);
  return first === Infinity ? undefined : first;
}

/** As matchTargets, where numbers of `__COUNTER__` and `__LINE__` in a name (`__initstub__kmod_x__312_2005_f6`) say nothing. */
function sameTarget(pairing: Pairing, a: Side, b: Side, ta: Target, tb: Target): boolean {
  if (
    ta.symbol !== 0 &&
    tb.symbol !== 0 &&
    ta.delta === tb.delta &&
    isCounted(a.name(ta.symbol)) &&
    uncounted(a.name(ta.symbol)) === uncounted(b.name(tb.symbol))
  )
    return true;
  return matchTargets({ pairing, a, b }, ta, tb, a.allUnits()) !== 'different';
}

/** Words with what they refer to. */
function wordsOf(side: Side, stretch: Stretch): string[] {
  const bytes = bytesOf(side, stretch);
  const words = Array.from({ length: Math.ceil(bytes.length / WORD) }, (_, i) =>
    Buffer.from(bytes.subarray(i * WORD, (i + 1) * WORD)).toString('hex'),
  );
  for (const { at, target } of targetsIn(side, stretch))
    words[Math.floor(at / WORD)] +=
      ` ${target.symbol !== 0 ? `${uncounted(side.name(target.symbol))}+${target.delta}` : target.digest.join()}`;
  return words;
}

const WORD = 4;

/** Whether all of ORIG's words are there, with others put in at one place. */
function isGrown(a: Side, b: Side, x: Stretch, y: Stretch): boolean {
  const [ours, theirs] = [wordsOf(a, x), wordsOf(b, y)];
  if (theirs.length <= ours.length) return false;
  let front = 0;
  while (front < ours.length && ours[front] === theirs[front]) front++;
  let back = 0;
  while (back < ours.length - front && ours.at(-1 - back) === theirs.at(-1 - back)) back++;
  return front + back === ours.length;
}

function bytesOf({ object }: Side, { section, start, end }: Range): Uint8Array {
  return object.content(section).subarray(start, end);
}

function rangeOf({ section, start, end }: Range): Range {
  return { section, start, end };
}
