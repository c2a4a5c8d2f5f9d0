import { SectionClass } from '../../kernel/section-class';
import type { Side } from '../side/side';
import { REACH_BEFORE, REACH_BEHIND } from '../scan';

type Span = readonly [from: number, to: number];
/** Where all of a section is meant, and a section is all that is asked for. */
const ANYWHERE: Span = [-Infinity, Infinity];
/** More bytes than a field and what may stand behind it. */
const MOST_BIAS = 16;
/** So many targets in one section are as good as all of it. */
const FEW = 16;

/**
 * Places from which a reference may mean one of `targets`, by section: what readingsAt goes through around a place. Else every reference
 * to `.init.data` of a kernel would have the function that makes it decoded. Words of relative tables name places far from what they mean in code.
 */
export function nearTargets({ table, identity }: Side, targets: ReadonlySet<number>): Map<number, Span[]> {
  const near = new Map<number, Span[]>();
  for (const target of targets) {
    const section = table.section[target]!;
    const whole =
      section >= table.sections ||
      table.sole[section] !== 0 ||
      identity.anchors.mayShare(section) ||
      (table.sectionClass[section]! & SectionClass.EXEC) !== 0;
    const reach = Math.max(REACH_BEFORE, REACH_BEHIND, table.size[target]!) + MOST_BIAS;
    const span: Span = whole
      ? ANYWHERE
      : [table.value[target]! - reach, table.value[target]! + table.size[target]! + reach];
    const spans = near.get(section);
    if (spans === undefined) near.set(section, [span]);
    else if (spans.length < FEW) spans.push(span);
    else spans[0] = ANYWHERE;
  }
  return near;
}
