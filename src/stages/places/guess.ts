import type { Reading } from '../side/reading';
import type { Side } from '../side/side';
import { mayBeIn } from './compared';
import type { Doubt } from './doubt';
import type { FieldUses } from './evidence';

/**
 * What is meant as far as nothing speaks against it: what lies at the place. Between two objects that is the one that begins there,
 * unless the end of the other could be of use: that meets pointers into it, which the range or somebody else must have. Somebody else
 * has it where the pointer goes back to the caller (`return tab + N`) or into memory; a call that gets an end gets the rest, too.
 *
 * @param all the references of the range
 * @param uses what the code does with the address, where that is known
 */
export function lastGuess(
  side: Side,
  isCode: boolean,
  reference: Readonly<Doubt>,
  all: ReadonlyArray<Readonly<Doubt>>,
  uses: FieldUses | undefined,
): Reading | undefined {
  if (reference.doubtful === true) return undefined;
  const { list, between, unusual, field } = reference;
  if (unusual) {
    const mentioned = list.filter(({ symbol }) =>
      all.some((other) => other.field !== field && other.decided?.symbol === symbol),
    );
    return mentioned.length === 1 ? mentioned[0] : undefined;
  }
  if (!between) return list[0];
  // Indexed by who knows what: a table begins there.
  if (uses !== undefined && uses.accessed.length > 0) return list[0];
  // Compared with a pointer from elsewhere.
  if (uses?.compared.some((pointers) => pointers === undefined) === true) return undefined;
  const ending = list[1]!.symbol;
  const inside = all
    .filter((other) => other.field !== field && mayBeIn(side, other, ending))
    .map((other) => other.field);
  // In data an end stands behind what it is the end of: `{ tab, tab + N }`.
  if (uses === undefined) return inside.some((other) => isCode || other < field) ? undefined : list[0];
  if (uses.returned || uses.stored) return undefined;
  return uses.handed.some((together) => together.some((other) => inside.includes(other))) ? undefined : list[0];
}
