import type { Side } from '../side/side';
import { meaningsOf, type Doubt, type RangeMeanings } from './meanings';
import type { Reading } from './readings';

/**
 * Decides references by what the twin of the function or object refers to: the end of `tab` that it has, too, is meant here, and not a new
 * variable that now begins there. Each reference of the twin is evidence for one here.
 */
export function agreeWithTwin(side: Side, own: RangeMeanings, references: Doubt[]): void {
  const { counterpart } = side;
  const twin = counterpart === undefined || own.symbol === 0 ? 0 : counterpart.twinOf(own.symbol);
  if (counterpart === undefined || twin === 0) return;
  const range = counterpart.side.rangeOf(twin);
  const theirs = meaningsOf(counterpart.side, range, range.start).own;
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
    const left = theirs.filter((other) => !taken.has(other) && has(other, decided));
    const other = left.find(({ decided: reading }) => reading !== undefined) ?? left[0];
    if (other !== undefined) taken.add(other);
  }
  // The end of an object is common, but not for who goes from there by an index; places before and behind it are not.
  const isFarFetched = (reference: Doubt, { symbol, delta }: Reading): boolean =>
    !reference.unusual &&
    symbol !== 0 &&
    (delta < 0 || delta > side.table.size[symbol]! || own.isIndexed(reference.field));
  const open = (): Doubt[] => references.filter(({ decided, alike }) => decided === undefined && alike !== true);
  const settle = (reference: Doubt, others: ReadonlyArray<Readonly<Doubt>>, supports: typeof has): boolean => {
    const supported = reference.list.filter((reading) => others.some((other) => supports(other, reading)));
    if (supported.length !== 1) return false;
    const reading = supported[0]!;
    const other = others.find((one) => supports(one, reading))!;
    if (
      reference.between &&
      other.decided === undefined &&
      reference.list.slice(0, 2).every((one) => has(other, one))
    ) {
      // Both objects are the twin's, too, one behind the other: what usually is meant must not become evidence by that.
      reference.alike = true;
      taken.add(other);
      return true;
    }
    if (
      isFarFetched(reference, reading) &&
      other.decided === undefined &&
      reading !== reference.list[0] &&
      !usually(other, reading)
    ) {
      // `other[k]` became `fresh[k]`, or both are `tab[k - 4]`: the twin does not know either.
      reference.doubtful = true;
      return false;
    }
    reference.decided = reading;
    taken.add(other);
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
