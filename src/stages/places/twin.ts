import type { Side } from '../compare';
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
  const tells = (other: Readonly<Doubt>): boolean => !taken.has(other) && (other.decided !== undefined || !other.unusual);
  const has = (other: Readonly<Doubt>, reading: Reading): boolean => (other.decided === undefined ? other.list : [other.decided]).some((one) => counterpart.same(reading, one));

  for (const { decided } of references) {
    if (decided === undefined) continue;
    const left = theirs.filter((other) => !taken.has(other) && has(other, decided));
    const other = left.find(({ decided: reading }) => reading !== undefined) ?? left[0];
    if (other !== undefined) taken.add(other);
  }
  const open = (): Doubt[] => references.filter(({ decided }) => decided === undefined);
  const settle = (reference: Doubt, others: ReadonlyArray<Readonly<Doubt>>): boolean => {
    const supported = reference.list.filter((reading) => others.some((other) => has(other, reading)));
    if (supported.length !== 1) return false;
    reference.decided = supported[0]!;
    taken.add(others.find((other) => has(other, supported[0]!))!);
    return true;
  };
  // The same place of equally long code or data comes first.
  const aligned = range.end - range.start === own.range.end - own.range.start;
  if (aligned) for (const reference of open()) settle(reference, theirs.filter((other) => other.field === reference.field && tells(other)));
  for (let progress = true; progress; ) progress = open().some((reference) => settle(reference, theirs.filter(tells)));
}
