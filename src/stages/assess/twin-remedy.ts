import type { Diagnostic } from '../../diagnostics';
import { nameOf } from '../symbol-name';
import type { AssessInput } from './types';

/** How many pairs a remedy spells out. */
const MOST = 4;

/** A refusal for want of evidence, with the declarations that would decide it, ready to paste. */
export function withTwinRemedy(
  { orig, patched, ambiguous }: Pick<AssessInput, 'orig' | 'patched' | 'ambiguous'>,
  told: Diagnostic,
): Diagnostic {
  if (told.code !== 'ambiguous-data' && told.code !== 'ambiguous-twin') return told;
  const group = ambiguous.find(
    ({ orig: ours, patched: theirs }) =>
      theirs.some((symbol) => patched.name(symbol) === told.where.symbol) ||
      ours.some((symbol) => orig.name(symbol) === told.where.symbol),
  );
  if (group === undefined) return told;
  const pairs = group.patched
    .filter(
      (symbol) =>
        patched.name(symbol) === told.where.symbol ||
        !group.patched.some((other) => patched.name(other) === told.where.symbol),
    )
    .flatMap((b) => group.orig.map((a) => `--twin ${nameOf(orig, a)}=${nameOf(patched, b)}`));
  const listed =
    pairs.length > MOST ? `${pairs.slice(0, MOST).join(', ')} or another of ${pairs.length}` : pairs.join(' or ');
  return { ...told, hint: `${told.hint} Where the source tells, declare it: ${listed}.` };
}
