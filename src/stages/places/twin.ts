import type { SymbolIndex } from '../../elf';
import type { Range } from '../side/range';
import type { Counterpart, Side } from '../side/side';
import type { Doubt } from './doubt';
import type { Reading } from '../side/reading';

/** The function or object that has the references. */
interface Own {
  readonly side: Side;
  readonly range: Range;
  /** Whether memory is accessed from the place that a field refers to by an index that may be anything. */
  isIndexed(field: number): boolean;
}

/** Its twin, and what was decided of that one's references without the other build. */
export interface Twin {
  counterpart: Counterpart;
  range: Range;
  references: ReadonlyArray<Readonly<Doubt>>;
}

/** Every reference is held against every one of the twin. Of so many the largest function or table of a kernel has none; there nothing is agreed. */
const MOST_PAIRS = 2 ** 24;

/**
 * Decides references by what the twin of the function or object refers to: the end of `tab` that it has, too, is meant here, and not a new
 * variable that now begins there. Each reference of the twin is evidence for one here.
 */
export function agreeWithTwin(own: Own, { counterpart, range, references: theirs }: Twin, references: Doubt[]): void {
  if (references.length * theirs.length > MOST_PAIRS) {
    for (const reference of references)
      if (reference.decided === undefined && (reference.between || reference.unusual)) reference.doubtful = true;
    return;
  }
  const taken = new Set<Readonly<Doubt>>();
  // Two that are nowhere are no evidence for each other.
  const tells = (other: Readonly<Doubt>): boolean =>
    !taken.has(other) && (other.decided !== undefined || !other.unusual);
  const has = ({ decided, list }: Readonly<Doubt>, reading: Reading): boolean =>
    (decided === undefined ? list : [decided]).some((one) => counterpart.same(reading, one));
  const usually = ({ decided, list }: Readonly<Doubt>, reading: Reading): boolean =>
    counterpart.same(reading, decided ?? list[0]!);

  for (const { decided } of references) {
    if (decided === undefined) continue;
    const left = theirs.filter((one) => !taken.has(one) && has(one, decided));
    const other = left.find((one) => one.decided !== undefined) ?? left[0];
    if (other !== undefined) taken.add(other);
  }
  // Who goes to the end of an object begins in it; else what lies there now has come in the place of what lay there (`guid_name`, which was
  // the same text as a literal and had no name of its own, behind `rows`).
  const isReached = (reference: Doubt, symbol: SymbolIndex): boolean =>
    references.some(
      (other) =>
        other !== reference &&
        (other.decided === undefined ? other.list : [other.decided]).some(
          (one) => one.symbol === symbol && one.delta !== own.side.table.size[symbol]!,
        ),
    );
  // The end of an object is common, but not for who goes from there by an index; places before and behind it are not.
  const isFarFetched = (reference: Doubt, { symbol, delta }: Reading): boolean =>
    !reference.unusual &&
    symbol !== 0 &&
    (delta < 0 ||
      delta > own.side.table.size[symbol]! ||
      own.isIndexed(reference.field) ||
      (reference.between && delta === own.side.table.size[symbol]! && !isReached(reference, symbol)));
  const isGone = ({ symbol }: Reading, other: Counterpart | undefined): boolean =>
    symbol === 0 || other?.twinOf(symbol) === 0;
  // A variable that went and one that came, both behind the same object: the one may stand for the other.
  const mayReplace = (reference: Doubt, supporter: Readonly<Doubt>): boolean =>
    reference.between &&
    supporter.between &&
    isGone(reference.list[0]!, counterpart) &&
    isGone(supporter.list[0]!, counterpart.side.counterpart);
  const open = (): Doubt[] => references.filter(({ decided, alike }) => decided === undefined && alike !== true);
  const settle = (reference: Doubt, others: ReadonlyArray<Readonly<Doubt>>, supports: typeof has): boolean => {
    const supported = reference.list.filter((one) => others.some((other) => supports(other, one)));
    if (supported.length !== 1) return false;
    const reading = supported[0]!;
    const supporter = others.find((one) => supports(one, reading))!;
    if (
      reference.between &&
      supporter.decided === undefined &&
      reference.list.slice(0, 2).every((one) => has(supporter, one))
    ) {
      // Both objects are the twin's, too, one behind the other: what usually is meant must not become evidence by that.
      reference.alike = true;
      taken.add(supporter);
      return true;
    }
    if (
      (isFarFetched(reference, reading) || mayReplace(reference, supporter)) &&
      supporter.decided === undefined &&
      reading !== reference.list[0] &&
      !usually(supporter, reading)
    ) {
      // `other[k]` became `fresh[k]`, or both are `tab[k - 4]`: the twin does not know either.
      reference.doubtful = true;
      return false;
    }
    reference.decided = reading;
    taken.add(supporter);
    return true;
  };
  // What usually is meant comes first: a new table that lies before `tab` must not take the use of what lay there as `tab - 4`.
  const meet = (supports: typeof has): void => {
    // The same place of equally long code or data comes before the others.
    if (aligned)
      for (const reference of open())
        settle(
          reference,
          theirs.filter((other) => other.field === reference.field && tells(other)),
          supports,
        );
    for (let progress = true; progress; )
      progress = open().some((reference) => settle(reference, theirs.filter(tells), supports));
  };
  const aligned = range.end - range.start === own.range.end - own.range.start;
  meet((other, reading) => usually(other, reading));
  meet(has);
}
